"""Strategic merge patch: a merge patch that knows which lists are maps by a key, and takes directives.

The definitions say which: `x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key`. Directives are `$patch` (replace, delete),
`$retainKeys`, `$deleteFromPrimitiveList/<field>` and `$setElementOrder/<field>`. Follows apimachinery's strategicpatch, server side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubetree.api.errors import ApiError, BadRequest
from kubetree.api.kinds import Kind
from kubetree.api.objects import copy
from kubetree.api.schema import definitions as d

_DELETE_LIST, _ORDER = "$deleteFromPrimitiveList", "$setElementOrder"
_BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
_BAD_ORDER = "invalid patch format of setElementOrder list"
_BAD_DELETE_LIST = "invalid patch format of primitive list"
Object = dict[str, Any]


def strategic_merge(kind: Kind | str, doc: Object, patch: Object) -> Object:
    """`doc` of a built-in kind (or definition) with `patch` merged into it; the inputs stay as they are.

    Raises BadRequest for malformed directives, and what upstream answers with 422 or 500 for patches that do not fit the type.
    """
    if not isinstance(patch, dict):
        raise BadRequest("invalid JSON document")
    return _merge_map(copy(doc), copy(patch), d.definition(kind))


class _Field:
    """What the schema says of one field: the schema of its value or items, the strategy and the merge key."""

    __slots__ = ("key", "schema", "strategy")

    def __init__(self, parent: d.Schema | None, name: str) -> None:
        schema = _property(parent, name)
        self.strategy = next((s for s in schema.get("x-kubernetes-patch-strategy", "").split(",") if s != "retainKeys"), "")
        self.key = schema.get("x-kubernetes-patch-merge-key", "")
        self.schema = _resolved(schema)


def _resolved(schema: d.Schema) -> d.Schema:
    name = d.reference(schema)
    return d.definitions()[name] if name is not None else schema


def _property(parent: d.Schema | None, name: str) -> d.Schema:
    """The schema of a member; free-form parents hold anything."""
    if parent is None:
        return {}
    values = parent.get("additionalProperties")
    if isinstance(values, dict):
        return values
    properties = parent.get("properties")
    if not properties:
        return {}
    if name not in properties:
        raise _failed(f'unable to find api field in struct for the json field "{name}"')
    found: d.Schema = properties[name]
    return found


def _items(schema: d.Schema) -> d.Schema:
    return _resolved(schema.get("items") or {})


def _merge_map(doc: Object, patch: Object, schema: d.Schema | None) -> Object:
    if "$patch" in patch:
        return _directive(patch)
    _retain_keys(doc, patch)
    _ordered_lists(doc, patch, schema)
    for key, value in patch.items():
        deletes = key.startswith(_DELETE_LIST)
        name = _after_slash(key, _DELETE_LIST, _BAD_DELETE_LIST) if deletes else key
        if value is None:
            doc.pop(name, None)
        elif name in doc and type(doc[name]) is type(value) and isinstance(value, (dict, list)):
            field = _Field(schema, name)
            if isinstance(value, dict):
                doc[name] = value if field.strategy == "replace" else _merge_map(doc[name], value, field.schema)
            elif deletes:
                doc[name] = [item for item in doc[name] if item not in value]
            else:
                doc[name] = _merge_list(doc[name], value, field) if field.strategy == "merge" else value
        elif not deletes:
            _take(doc, name, value)
    return doc


def _take(doc: Object, name: str, value: Any) -> None:
    """Sets a value that has nothing to be merged with: without its nulls, and without what directives mark."""
    kept = _without_directives(_without_nulls(value))
    if kept is _NOTHING:
        doc.pop(name, None)
    else:
        doc[name] = kept


_NOTHING: Any = object()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _without_directives(value: Any) -> Any:
    if isinstance(value, dict):
        if "$patch" in value:
            return _NOTHING
        return {key: kept for key, item in value.items() if (kept := _without_directives(item)) is not _NOTHING}
    if isinstance(value, list):
        return [kept for item in value if (kept := _without_directives(item)) is not _NOTHING]
    return value


def _directive(patch: Object) -> Object:
    directive = patch.pop("$patch")
    if directive == "replace":
        return patch
    if directive == "delete":
        return {}
    raise _failed(f"unknown patch type: {_text(directive)} in map: {go_value({**patch, '$patch': directive})}")


def _retain_keys(doc: Object, patch: Object) -> None:
    """`$retainKeys`: whatever of `doc` is not named there goes."""
    if "$retainKeys" not in patch:
        return
    names = patch.pop("$retainKeys")
    if not isinstance(names, list):
        raise BadRequest(_BAD_RETAIN_KEYS)
    if any(key not in names for key, value in patch.items() if value is not None and not key.startswith((_DELETE_LIST, _ORDER))):
        raise BadRequest(_BAD_RETAIN_KEYS)
    for key in [key for key in doc if key not in names]:
        del doc[key]


def _after_slash(key: str, prefix: str, why: str) -> str:
    start, slash, name = key.partition("/")
    if not slash or start != prefix:
        raise BadRequest(why)
    return name


def _ordered_lists(doc: Object, patch: Object, schema: d.Schema | None) -> None:
    """`$setElementOrder`: merges the list of that name and puts it in the order given; what only the server has keeps its place."""
    for key in [key for key in patch if key.startswith(_ORDER)]:
        order = patch.pop(key)
        name = _after_slash(key, _ORDER, _BAD_ORDER)
        live, wanted = doc.get(name), patch.get(name)
        for given in (order, live, wanted):
            if given is not None and not isinstance(given, list):
                raise _failed(f"expected a []interface {{}}, but received a {_go_kind(given)}")
        field = _Field(schema, name)
        if wanted is not None:
            _check_order(wanted, order or [], field.key)
        if live is None and wanted is None:
            continue
        if wanted is None:
            merged = live
        elif live is None:
            merged = _without_directives(wanted)
        else:
            merged = _merge_list(live, wanted, field) if field.strategy == "merge" else wanted
        doc[name] = _arranged(merged or [], order or [], live or [], field.key)
        patch.pop(name, None)


def _check_order(wanted: list[Any], order: list[Any], key: str) -> None:
    if not order or not wanted:
        return
    places = iter(order)
    for item in wanted:
        if isinstance(item, dict) and "$patch" in item:
            continue
        if not any(_key_of(item, key) == _key_of(place, key) for place in places):
            raise _failed(f"The order in patch list:\n{go_value(wanted)}\n doesn't match {_ORDER} list:\n{go_value(order)}\n")


def _key_of(item: Any, key: str) -> Any:
    if not key:
        return item
    if not isinstance(item, dict):
        raise _failed(f"expected a map[string]interface {{}}, but received a {_go_kind(item)}")
    if key not in item:
        raise _failed(f"map: {go_value(item)} does not contain declared merge key: {key}")
    return item[key]


def _merge_list(live: list[Any], patch: list[Any], field: _Field) -> list[Any]:
    if not live and not patch:
        return live
    kinds = {type(item) for item in (*live, *patch)}
    if list in kinds:
        raise ApiError("lists of lists are not supported", status_code=422, status_reason="Invalid")
    if len(kinds) > 1:
        raise _failed(f"list element types are not identical: [{go_value(live)} {go_value(patch)}]")
    if kinds != {dict}:
        merged = _distinct([*live, *patch])
        return _arranged(merged, patch, live, "")
    if not field.key:
        raise _failed("cannot merge lists without merge key for struct")
    kept, wanted = _special_elements(live, patch, field.key)
    merged = list(kept)
    items = _items(field.schema)
    for item in wanted:
        value = _key_of(item, field.key)
        at = next((i for i, found in enumerate(merged) if found.get(field.key, _NOTHING) == value), -1)
        if at < 0:
            merged.append(_without_directives(item))
        else:
            merged[at] = _merge_map(merged[at], item, items)
    return _arranged(merged, wanted, kept, field.key)


def _distinct(items: list[Any]) -> list[Any]:
    out: list[Any] = []
    for item in items:
        if item not in out:
            out.append(item)
    return out


def _special_elements(live: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """(live without what `$patch: delete` names, the patch without such elements); after `$patch: replace` only the patch counts."""
    wanted, replace = [], False
    for item in patch:
        directive = item.get("$patch")
        if "$patch" not in item:
            wanted.append(item)
        elif directive == "delete":
            value = _key_of(item, key)
            live = [found for found in live if found.get(key, _NOTHING) != value]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise _failed("merging lists cannot yet be specified in the patch")
        else:
            raise _failed(f"unknown patch type: {_text(directive)} in map: {go_value(item)}")
    return (wanted, []) if replace else (live, wanted)


def _arranged(merged: list[Any], order: list[Any], live: list[Any], key: str) -> list[Any]:
    """Elements that `order` names in its order, the others in the order of `live`, interleaved as they stood in `live`."""
    places = [_key_of(item, key) for item in order]
    lived = [item.get(key) if key else item for item in live]

    def position(where: list[Any]) -> Callable[[Any], int]:
        return lambda item: where.index(_key_of(item, key)) if _key_of(item, key) in where else len(where)

    named = sorted((item for item in merged if _key_of(item, key) in places), key=position(places))
    others = sorted((item for item in merged if _key_of(item, key) not in places), key=position(lived))
    out: list[Any] = []
    while named and others:
        left, right = _key_of(others[0], key), _key_of(named[0], key)
        earlier = left in lived and right in lived and lived.index(left) < lived.index(right)
        out.append(others.pop(0) if earlier else named.pop(0))
    return out + others + named


def _go_kind(value: Any) -> str:
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list):
        return "[]interface {}"
    return {str: "string", bool: "bool", int: "int64", float: "float64"}.get(type(value), "<nil>")


def go_value(value: Any) -> str:
    """A decoded JSON value as Go prints it with %v."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case dict():
            return f"map[{' '.join(f'{key}:{go_value(item)}' for key, item in sorted(value.items()))}]"
        case list():
            return f"[{' '.join(map(go_value, value))}]"
    return str(value)


def _text(value: Any) -> str:
    """The same with %s, which is for strings."""
    return value if isinstance(value, str) else f"%!s({_go_kind(value)}={go_value(value)})"


def _failed(message: str) -> ApiError:
    """A patch that contradicts itself. Upstream answers with 500, although the client is to blame."""
    return BadRequest(message)
