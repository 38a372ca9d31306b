"""The three patches that change an object on the server: JSON patch, merge patch, strategic merge patch. (Apply is its own package.)"""

from kubetree.api.patches.json_patch import PatchFailed, json_patch
from kubetree.api.patches.merge_patch import merge_patch
from kubetree.api.patches.strategic_merge import go_value, strategic_merge
from kubetree.api.patches.unstructured import restored

__all__ = ["PatchFailed", "go_value", "json_patch", "merge_patch", "restored", "strategic_merge"]
