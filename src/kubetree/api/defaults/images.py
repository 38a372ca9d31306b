"""When an image is pulled, from what its reference says."""

from __future__ import annotations

import re
from functools import lru_cache

_REPOSITORY = re.compile(
    r"(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_LONGEST = 255
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


@lru_cache(maxsize=4096)
def pull_policy(image: str) -> str:
    """Always for the tag latest, given or implied; IfNotPresent for any other and for what is no image reference."""
    name, _, digest = image.partition("@")
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        head, tag = name, ""
    if len(head) > _LONGEST or not _REPOSITORY.fullmatch(head) or (tag and not _TAG.fullmatch(tag)):
        return "IfNotPresent"
    return "Always" if tag == "latest" or (not tag and not digest) else "IfNotPresent"
