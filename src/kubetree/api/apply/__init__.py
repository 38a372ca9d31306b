"""Who owns which field: managedFields on every write, and server-side apply. Follows structured-merge-diff."""

from kubetree.api.apply.compile_types import custom_type, type_of_kind
from kubetree.api.apply.server_side_apply import apply, go_kind
from kubetree.api.apply.track import track_update

__all__ = ["apply", "custom_type", "go_kind", "track_update", "type_of_kind"]
