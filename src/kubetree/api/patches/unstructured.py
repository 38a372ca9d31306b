"""What upstream says when a strategic merge patch puts a value where its type has no place for it.

Such a patch goes from maps straight into Go's structs, and not through JSON: apimachinery's runtime/converter.go has other words for it.
"""

from __future__ import annotations

import re
from functools import cache

from kubetree.api.schema.definitions import definitions, go_name

_FAULT = re.compile(r"json: cannot unmarshal (object|array|string|bool|number)(?: (\S+))? into Go (?:struct field \S+|value) of type (.+)")
_KINDS = {"object": "map", "array": "slice", "string": "string", "bool": "bool"}
_INTEGERS, _SCALARS = ("int32", "int64"), ("bool", "float64", "int32", "int64", "string")


@cache
def _structs() -> frozenset[str]:
    return frozenset(go_name(name) for name, schema in definitions().items() if schema.get("properties"))


def restored(message: str) -> str:
    """The decoder's message in the converter's words; anything else as it is."""
    match = _FAULT.fullmatch(message)
    if match is None:
        return message
    found, number, target = match.groups()
    kind = _KINDS.get(found) or ("float64" if number is not None and not number.lstrip("-").isdigit() else "int64")
    if target.startswith("[]"):
        return f"cannot restore slice from {kind}"
    if target.startswith("map["):
        return f"cannot restore map from {kind}"
    if target in _structs():
        return f"cannot restore struct from: {kind}"
    base = target if target in _SCALARS else "string"
    if (kind == "int64" and base == "string") or (kind == "float64" and base in _INTEGERS):
        return f"cannot convert {kind} to {target}"
    return f"unrecognized type: {base}"
