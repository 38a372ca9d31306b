"""JSON Patch (RFC 6902) with the messages of evanphx/json-patch v4, which upstream answers with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from kubetree.api.errors import BadRequest, Invalid
from kubetree.api.objects import copy

Operation = dict[str, Any]
_REJECTED = "the server rejected our request due to an error in our request"
_MISSING = "missing value"
_TOO_MUCH = "Unable to complete the copy, the accumulated size increase of copy is"
MOST_COPIED = 3 * 1024 * 1024
"""Bytes of JSON that the copies of one patch may make: a few that each double an object would fill all memory."""
_INDEX = "Unable to access invalid index: {}: invalid index referenced"


class PatchFailed(Invalid):
    """An operation does not apply. Clients are told no more than that; `why` says what is the matter to those who patch by themselves."""

    def __init__(self, why: str) -> None:
        super().__init__(_REJECTED, empty_details=True)
        self.why = why


class _Failed(Exception):
    pass


def json_patch(doc: dict[str, Any], patch: Sequence[Operation]) -> dict[str, Any]:
    """`doc` with the operations applied in turn; the inputs stay as they are.

    Raises BadRequest for what is no patch, PatchFailed for an operation that does not apply.
    """
    if not isinstance(patch, list) or not all(isinstance(operation, dict) for operation in patch):
        raise BadRequest("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    out: Any = copy(doc)
    copied = 0
    for operation in patch:
        name = operation.get("op")
        apply = _OPERATIONS.get(name) if isinstance(name, str) else None
        try:
            if apply is None:
                raise _Failed(f"Unexpected kind: {name if isinstance(name, str) else 'unknown'}")
            if apply is _copy:
                copied += _copied(out, operation)
                if copied > MOST_COPIED:
                    raise _Failed(f"{_TOO_MUCH} {copied}, exceeding the limit {MOST_COPIED}")
            out = apply(out, operation)
        except _Failed as failed:
            raise PatchFailed(str(failed)) from None
    if not isinstance(out, dict):
        raise PatchFailed("the patched document is no object")
    return out


def _pointer(operation: Operation, member: str) -> str:
    found = operation.get(member)
    if not isinstance(found, str):
        raise _Failed(f"{operation['op']} operation failed to decode {member}: {_MISSING}")
    return found


def _parent(doc: Any, pointer: str) -> tuple[Any, str] | None:
    """The container that holds what a pointer means, and the key in it; None where the way there is missing."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]
    if len(parts) < 2:
        return None
    for part in parts[1:-1]:
        try:
            doc = _get(doc, part)
        except _Failed:
            return None
        if not isinstance(doc, (dict, list)):
            return None
    return (doc, parts[-1]) if isinstance(doc, (dict, list)) else None


def _index(key: str, length: int) -> int:
    try:
        index = int(key)
    except ValueError:
        raise _Failed(f'strconv.Atoi: parsing "{key}": invalid syntax') from None
    if not -length <= index < length:
        raise _Failed(_INDEX.format(index))
    return index + length if index < 0 else index


def _get(holder: Any, key: str) -> Any:
    """None for a missing member: upstream's library replaces, copies and tests what is not there as if it were null."""
    if isinstance(holder, list):
        return holder[_index(key, len(holder))]
    return holder.get(key)


def _put(holder: Any, key: str, value: Any) -> None:
    if isinstance(holder, dict):
        holder[key] = value
    elif key == "-":
        holder.append(value)
    else:
        try:
            holder.insert(_index(key, len(holder) + 1), value)
        except _Failed as failed:
            why = f"value was not a proper array index: '{key}': " if str(failed).startswith("strconv") else ""
            raise _Failed(f"{why}{failed}") from None


def _drop(holder: Any, key: str) -> None:
    if isinstance(holder, list):
        del holder[_index(key, len(holder))]
    elif key in holder:
        del holder[key]
    else:
        raise _Failed(f"Unable to remove nonexistent key: {key}: {_MISSING}")


def _within(where: str, act: Callable[[], Any]) -> Any:
    try:
        return act()
    except _Failed as failed:
        raise _Failed(f"{where}: {failed}") from None


def _add(doc: Any, operation: Operation) -> Any:
    path = _pointer(operation, "path")
    place = _parent(doc, path)
    if place is None:
        raise _Failed(f'add operation does not apply: doc is missing path: "{path}": {_MISSING}')
    _within(f"error in add for path: '{path}'", lambda: _put(*place, copy(operation.get("value"))))
    return doc


def _remove(doc: Any, operation: Operation) -> Any:
    path = _pointer(operation, "path")
    place = _parent(doc, path)
    if place is None:
        raise _Failed(f'remove operation does not apply: doc is missing path: "{path}": {_MISSING}')
    _within(f"error in remove for path: '{path}'", lambda: _drop(*place))
    return doc


def _replace(doc: Any, operation: Operation) -> Any:
    path = _pointer(operation, "path")
    value = copy(operation.get("value"))
    if path == "":
        if not isinstance(value, (dict, list)):
            raise _Failed("replace operation value must be object or array")
        return value
    place = _parent(doc, path)
    if place is None:
        raise _Failed(f"replace operation does not apply: doc is missing path: {path}: {_MISSING}")
    holder, key = place
    try:
        _get(holder, key)
    except _Failed:
        raise _Failed(f"replace operation does not apply: doc is missing key: {path}: {_MISSING}") from None
    if isinstance(holder, list):
        holder[_index(key, len(holder))] = value
    else:
        holder[key] = value
    return doc


def _move(doc: Any, operation: Operation) -> Any:
    source = _pointer(operation, "from")
    origin = _parent(doc, source)
    if origin is None:
        raise _Failed(f"move operation does not apply: doc is missing from path: {source}: {_MISSING}")
    holder, key = origin
    value = _within(f"error in move for path: '{key}'", lambda: _get(holder, key))
    _within(f"error in move for path: '{key}'", lambda: _drop(holder, key))
    path = _pointer(operation, "path")
    target = _parent(doc, path)
    if target is None:
        raise _Failed(f"move operation does not apply: doc is missing destination path: {path}: {_MISSING}")
    _within(f"error in move for path: '{path}'", lambda: _put(*target, value))
    return doc


def _copy(doc: Any, operation: Operation) -> Any:
    source = _pointer(operation, "from")
    origin = _parent(doc, source)
    if origin is None:
        raise _Failed(f"copy operation does not apply: doc is missing from path: {source}: {_MISSING}")
    value = _within(f"error in copy for from: '{source}'", lambda: _get(*origin))
    path = _pointer(operation, "path")
    target = _parent(doc, path)
    if target is None:
        raise _Failed(f"copy operation does not apply: doc is missing destination path: {path}: {_MISSING}")
    _within("error while adding value during copy", lambda: _put(*target, copy(value)))
    return doc


def _copied(doc: Any, operation: Operation) -> int:
    """The size in JSON of what is to be copied; 0 where that is not there, which the operation itself finds out."""
    origin = _parent(doc, _pointer(operation, "from"))
    try:
        return len(orjson.dumps(_get(*origin))) if origin is not None else 0
    except _Failed:
        return 0


def _test(doc: Any, operation: Operation) -> Any:
    path = _pointer(operation, "path")
    found = doc
    if path:
        place = _parent(doc, path)
        if place is None:
            raise _Failed(f"test operation does not apply: is missing path: {path}: {_MISSING}")
        holder, key = place
        found = _within(f"error in test for path: '{path}'", lambda: _get(holder, key))
    if not _same(found, operation.get("value")):
        raise _Failed(f"testing value {path} failed: test failed")
    return doc


def _same(one: Any, other: Any) -> bool:
    """JSON equality: 1 equals 1.0, but not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


_OPERATIONS: dict[str, Callable[[Any, Operation], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
