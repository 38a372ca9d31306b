"""Reading objects that are plain dicts: names, labels, owners. Nothing here changes what it is given."""

from collections.abc import Mapping
from typing import Any, cast

import orjson

from kubetree.api.kinds import Kind

Object = dict[str, Any]


def copy(obj: Object) -> Object:
    """A deep copy, by an orjson round trip: seven times as fast as copy.deepcopy."""
    return cast(Object, orjson.loads(orjson.dumps(obj)))


def namespace_name(obj: Object) -> tuple[str, str]:
    """(namespace, name); the namespace of a cluster-scoped object is ''."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def labels(obj: Object) -> Mapping[str, str]:
    return cast(Mapping[str, str], obj["metadata"].get("labels") or {})


def annotations(obj: Object) -> Mapping[str, str]:
    return cast(Mapping[str, str], obj["metadata"].get("annotations") or {})


def is_deleting(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def controller_of(obj: Object) -> Object | None:
    """The owner reference with controller: true; None when nobody controls the object."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return cast(Object, reference)
    return None


def owner_reference(kind: Kind, owner: Object, *, controller: bool = True, block: bool = True) -> Object:
    """A metav1.OwnerReference to `owner`; `block` sets blockOwnerDeletion. Without both it is a plain reference."""
    reference: Object = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    if controller:
        reference["controller"] = True
    if block:
        reference["blockOwnerDeletion"] = True
    return reference


def semantic_equal(one: Any, other: Any) -> bool:
    """Equal when missing, null and empty values count as the same, as apiequality.Semantic does."""
    return bool(_bare(one) == _bare(other))


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {field: bare for field, item in value.items() if (bare := _bare(item)) not in (None, {}, [])}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return value
