"""What every component asks of an object, whatever its kind: names, labels, owners, and a deep copy.

An object is its JSON as a dict. Caches hand out shared ones: copy before you change.
"""

from collections.abc import Mapping
from typing import Any, cast

import orjson

from kubetree.api.kinds import Kind

Object = dict[str, Any]


def copy(obj: Any) -> Any:
    """A deep copy of a JSON value, by an orjson round trip: five times faster than copy.deepcopy."""
    return orjson.loads(orjson.dumps(obj))


def whole_numbers(value: Any) -> Any:
    """A JSON value whose whole floats are integers, as Go's encoder writes them. Changes `value` where it can."""
    if isinstance(value, dict):
        for name, item in value.items():
            value[name] = whole_numbers(item)
    elif isinstance(value, list):
        value[:] = map(whole_numbers, value)
    elif isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value


def namespace_name(obj: Object) -> tuple[str, str]:
    """`(namespace, name)`; the namespace of a cluster-scoped object is ''."""
    metadata = obj.get("metadata") or {}
    return metadata.get("namespace") or "", metadata.get("name") or ""


def labels(obj: Object) -> dict[str, str]:
    """The object's own labels, not a copy; an empty dict when it has none."""
    return (obj.get("metadata") or {}).get("labels") or {}


def annotations(obj: Object) -> dict[str, str]:
    """The object's own annotations, not a copy; an empty dict when it has none."""
    return (obj.get("metadata") or {}).get("annotations") or {}


def uid(obj: Object) -> str:
    """'' for an object that is not stored yet."""
    return (obj.get("metadata") or {}).get("uid") or ""


def is_deleting(obj: Object) -> bool:
    """True from the moment deletion was asked for until finalizers and grace have run out."""
    return bool((obj.get("metadata") or {}).get("deletionTimestamp"))


def controller_of(obj: Object) -> Object | None:
    """The owner reference with `controller: true`, of which there is at most one."""
    for reference in (obj.get("metadata") or {}).get("ownerReferences") or ():
        if reference.get("controller"):
            return cast(Object, reference)
    return None


def is_controlled_by(obj: Object, owner: Object) -> bool:
    """Whether `owner` is the controller of `obj`, by uid as upstream's metav1.IsControlledBy."""
    reference = controller_of(obj)
    return reference is not None and reference.get("uid") == uid(owner)


def condition(obj: Mapping[str, Any], type: str) -> Object | None:
    """The condition of that type in the object's status."""
    conditions: list[Object] = (obj.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") == type), None)


def has_condition(obj: Mapping[str, Any], type: str) -> bool:
    """Whether the object's status says that it is so."""
    found = condition(obj, type)
    return found is not None and found.get("status") == "True"


def owner_reference(kind: Kind, owner: Object, *, controller: bool = True, block: bool = True) -> dict[str, Any]:
    """A metav1.OwnerReference to `owner`; `block` sets blockOwnerDeletion."""
    metadata = owner["metadata"]
    reference: dict[str, Any] = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    if controller:
        reference["controller"] = True
    if block:
        reference["blockOwnerDeletion"] = True
    return reference


def semantic_equal(a: Any, b: Any) -> bool:
    """Equality that takes null, {} and [] for absent, as upstream's equality.Semantic does for decoded objects."""
    if isinstance(a, dict) and isinstance(b, dict):
        return all(semantic_equal(a.get(key), b.get(key)) for key in a.keys() | b.keys())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(semantic_equal, a, b))
    if _absent(a) or _absent(b):
        return _absent(a) and _absent(b)
    return type(a) is type(b) and bool(a == b)


def _absent(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_absent, value.values()))
    return value is None or value == []
