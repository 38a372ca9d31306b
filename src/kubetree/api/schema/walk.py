"""The slow walk: decodes one object by its definition as Go's strict decoder would, naming everything that is wrong with it.

It runs only when the compiled check refuses an object, or to take out nulls. The result is a new object in canonical form: without nulls and
unknown fields, times in UTC, quantities canonical.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any

from kubetree.api.quantities import parse_quantity
from kubetree.api.schema import definitions as d
from kubetree.api.schema.go_json import Literal, Members, plain
from kubetree.api.schema.go_types import named_type, path_of
from kubetree.api.times import format_micro_time, format_time, is_zero, parse_time

_MOST = 100
_MICRO = re.compile(r".*T[0-9:]{8}\.[0-9]{6}(Z|[+-].*)")
_INTS = {"int32": 2**31, "": 2**63, "int64": 2**63}
_GO_SCALARS = {"boolean": "bool", "number": "float64", "string": "string"}
_ABSENT: Any = object()


class Fault(Exception):
    """What Go's decoder gives up on at once."""


class Walk:
    """One pass over one object. `strict_errors` has what Strict refuses and Warn warns of, `error` the first value of a wrong type."""

    def __init__(self, faults: Iterable[str] = ()) -> None:
        self.strict_errors: list[str] = list(faults)
        self.error = ""
        self._lenient = 0

    def run(self, name: str | None, value: Any) -> Any:
        """The canonical object. `name` is a definition; None means free JSON with ObjectMeta. Raises Fault."""
        if name is not None:
            return self._named(name, value, "", (), "")
        out = self._free(value, "")
        if isinstance(out, dict) and out.get("metadata") is not None:
            metadata = next((item for key, item in _members(value) if key == "metadata"), None)
            out["metadata"] = self._named(d.OBJECT_META, metadata, "metadata", ("metadata",), "")
        return out

    def free(self, value: Any) -> Any:
        """Any JSON as it is; looks for duplicates only."""
        return self._free(value, "")

    def metadata(self, value: Any, path: str) -> Any:
        """An ObjectMeta on its own, as a custom resource's is decoded; None where it cannot be read at all."""
        found = self._named(d.OBJECT_META, value, path, (), "")
        return None if found is _ABSENT else found

    def operations(self, patch: list[Any]) -> None:
        """The operations of a JSON patch: unknown and duplicate members."""
        for i, operation in enumerate(patch):
            seen: set[str] = set()
            for key, value in _members(operation) if isinstance(operation, (Members, dict)) else ():
                if key not in _OPERATION:
                    self._report("unknown", f"[{i}]", key)
                    continue
                if key in seen:
                    self._report("duplicate", f"[{i}]", key)
                seen.add(key)
                self._free(value, f"[{i}].{key}")

    def _report(self, what: str, path: str, key: str) -> None:
        full = (f"{path}.{key}" if path else key).replace("\\", "\\\\").replace('"', '\\"')
        message = f'{what} field "{full}"'
        if not self._lenient and len(self.strict_errors) < _MOST and message not in self.strict_errors:
            self.strict_errors.append(message)

    def _mistyped(self, value: Any, wanted: str, fields: tuple[str, ...], struct: str) -> Any:
        if not self.error:
            where = f"struct field {struct}.{'.'.join(fields)}" if struct or fields else "value"
            self.error = f"json: cannot unmarshal {_json_name(value, wanted)} into Go {where} of type {wanted}"
        return _ABSENT

    def _free(self, value: Any, path: str) -> Any:
        """Any JSON, with its duplicates named."""
        if isinstance(value, (Members, dict)):
            out: dict[str, Any] = {}
            for key, item in _members(value):
                if key in out:
                    self._report("duplicate", path, key)
                out[key] = self._free(item, f"{path}.{key}" if path else key)
            return out
        if isinstance(value, list):
            return [self._free(item, f"{path}[{i}]") for i, item in enumerate(value)]
        return plain(value)

    def _value(self, schema: d.Schema, value: Any, path: str, fields: tuple[str, ...], struct: str, go_type: str = "") -> Any:
        """`go_type` is how Go names the value's type, where the schema does not tell."""
        name = d.reference(schema)
        if name is not None:
            return self._named(name, value, path, fields, struct)
        if value is None:
            return _ABSENT
        kind = d.type_of(schema)
        if kind == "array":
            return self._array(schema, value, path, fields, struct, go_type)
        if kind == "object":
            return self._map(schema, value, path, fields, struct, go_type)
        return self._scalar(schema, kind, value, fields, struct, go_type)

    def _array(self, schema: d.Schema, value: Any, path: str, fields: tuple[str, ...], struct: str, go_type: str = "") -> Any:
        if not isinstance(value, list) or isinstance(value, Members):
            return self._mistyped(value, go_type or _go_type(schema), fields, struct)
        items, out, go_item = schema["items"], [], go_type.removeprefix("[]")
        for i, item in enumerate(value):
            found = self._value(items, item, f"{path}[{i}]", fields, struct, go_item)
            out.append(_zero(items) if found is _ABSENT else found)
        return out

    def _map(self, schema: d.Schema, value: Any, path: str, fields: tuple[str, ...], struct: str, go_type: str = "") -> Any:
        if not isinstance(value, (Members, dict)):
            return self._mistyped(value, go_type or _go_type(schema), fields, struct)
        values, out = schema.get("additionalProperties"), {}
        if not isinstance(values, dict):
            return self._free(value, path)
        for key, item in _members(value):
            if key in out:
                self._report("duplicate", path, key)
            found = self._value(values, item, f"{path}.{key}" if path else key, fields, struct, go_type.partition("]")[2])
            out[key] = _zero(values) if found is _ABSENT else found
        return out

    def _scalar(self, schema: d.Schema, kind: str, value: Any, fields: tuple[str, ...], struct: str, go_type: str = "") -> Any:
        wanted = go_type or _go_type(schema)
        if kind == "string":
            if not isinstance(value, str):
                return self._mistyped(value, wanted, fields, struct)
            return self._base64(value) if schema.get("format") == "byte" else value
        if kind == "boolean":
            return value if isinstance(value, bool) else self._mistyped(value, wanted, fields, struct)
        if kind == "integer":
            bound = _INTS.get(schema.get("format", ""), 2**63)
            whole = isinstance(value, int) and not isinstance(value, bool) and -bound <= value < bound
            return value if whole else self._mistyped(value, wanted, fields, struct)
        if kind == "number":
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return plain(value) if number else self._mistyped(value, wanted, fields, struct)
        return plain(value)

    def _base64(self, text: str) -> Any:
        compact = text.replace("\r", "").replace("\n", "")
        try:
            base64.b64decode(compact, validate=True)
        except binascii.Error:
            if not self.error:
                self.error = f"illegal base64 data at input byte {_base64_fault(text)}"
            return _ABSENT
        return compact

    def _named(self, name: str, value: Any, path: str, fields: tuple[str, ...], struct: str) -> Any:
        if name in d.ANYTHING:
            return _ABSENT if value is None else plain(value)
        if value is None:
            return _ABSENT if path else self._struct(name, {}, path, fields)
        if name == d.QUANTITY:
            return _quantity(value)
        if name == d.INT_OR_STRING:
            if isinstance(value, str):
                return value
            return self._must(self._scalar({"type": "integer", "format": "int32"}, "integer", value, fields, struct))
        if name in (d.TIME, d.MICRO_TIME):
            if not isinstance(value, str):
                return self._must(self._mistyped(value, "string", fields, struct))
            return _time(value, name == d.MICRO_TIME)
        if name in _SCHEMA_OR:
            return self._schema_or(name, value, path, fields, struct)
        if not isinstance(value, (Members, dict)):
            return self._mistyped(value, d.go_name(name), fields, struct)
        return self._struct(name, value, path, fields)

    def _must(self, found: Any) -> Any:
        """A type with a decoder of its own ends the whole decoding when it refuses."""
        if found is _ABSENT:
            raise Fault(self.error)
        return found

    def _struct(self, name: str, value: Any, path: str, fields: tuple[str, ...]) -> dict[str, Any]:
        properties, struct = d.definitions()[name].get("properties") or {}, name.rpartition(".")[2]
        out: dict[str, Any] = {}
        seen: set[str] = set()
        for key, item in _members(value):
            schema = properties.get(key)
            if schema is None:
                self._report("unknown", path, key)
                continue
            if key in seen:
                self._report("duplicate", path, key)
            seen.add(key)
            inner, go_type = (*fields, *path_of(name, key)), named_type(name, key)
            found = self._value(schema, item, f"{path}.{key}" if path else key, inner, struct, go_type)
            if found is not _ABSENT:
                out[key] = found
            elif item is None:
                out.pop(key, None)
        return out

    def _schema_or(self, name: str, value: Any, path: str, fields: tuple[str, ...], struct: str) -> Any:
        """JSONSchemaProps or something shorter. Go decodes these leniently: what they hold unknown is dropped without a word."""
        if name == d.JSON_SCHEMA_OR_BOOL and isinstance(value, bool):
            return value
        self._lenient += 1
        try:
            if isinstance(value, list) and not isinstance(value, Members) and name != d.JSON_SCHEMA_OR_BOOL:
                item: d.Schema = {"$ref": d.JSON_SCHEMA_PROPS} if name == d.JSON_SCHEMA_OR_ARRAY else {"type": "string"}
                return self._array({"type": "array", "items": item}, value, path, fields, struct)
            return self._named(d.JSON_SCHEMA_PROPS, value, path, fields, struct)
        finally:
            self._lenient -= 1


_OPERATION = frozenset({"op", "path", "from", "value"})
_SCHEMA_OR = frozenset({d.JSON_SCHEMA_OR_BOOL, d.JSON_SCHEMA_OR_ARRAY, d.JSON_SCHEMA_OR_STRINGS})


def _members(value: Any) -> Iterable[tuple[str, Any]]:
    return value if isinstance(value, Members) else sorted(value.items())


def _json_name(value: Any, wanted: str) -> str:
    """What Go calls a JSON value; a number that does not fit an integer is shown."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        shown = value.text if isinstance(value, Literal) else str(value)
        return f"number {shown}" if wanted.startswith(("int", "float")) else "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, (Members, dict)) else "array"


def _go_type(schema: d.Schema) -> str:
    name = d.reference(schema)
    if name is not None:
        return {d.QUANTITY: "resource.Quantity", d.INT_OR_STRING: "intstr.IntOrString"}.get(name) or d.go_name(name)
    kind, form = d.type_of(schema), schema.get("format", "")
    if kind == "array":
        return f"[]{_go_type(schema['items'])}"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"map[string]{_go_type(values)}" if isinstance(values, dict) else "map[string]interface {}"
    if kind == "integer":
        return "int32" if form == "int32" else "int64"
    return "[]uint8" if form == "byte" else _GO_SCALARS.get(kind, "interface {}")


def _zero(schema: d.Schema) -> Any:
    """What a null inside a list or a map becomes: Go's zero value."""
    name = d.reference(schema)
    if name is not None:
        return {d.QUANTITY: "0", d.INT_OR_STRING: 0}.get(name, None if name in d.ANYTHING else {})
    return {"string": "", "integer": 0, "number": 0, "boolean": False}.get(d.type_of(schema))


def _quantity(value: Any) -> str:
    text = value.text if isinstance(value, Literal) else value
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        text = "?"
    try:
        return str(parse_quantity(text.strip() if isinstance(text, str) else text))
    except ValueError as error:
        raise Fault(str(error)) from None


def _time(text: str, micro: bool) -> Any:
    try:
        moment = parse_time(text)
    except ValueError as error:
        raise Fault(str(error)) from None
    if micro and not _MICRO.fullmatch(text):
        raise Fault(f'parsing time "{text}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "{text[19:]}" as ".000000"')
    if is_zero(moment):
        return _ABSENT
    return format_micro_time(moment) if micro else format_time(moment)


_SIX_BITS = re.compile(r"[A-Za-z0-9+/]")


def _base64_fault(text: str) -> int:
    """The index that Go names: of the first character that cannot be, or of the group of four that the text breaks off in."""
    at, digits, padded = 0, 0, False
    for at, c in enumerate(text):
        if c in "\r\n":
            continue
        if padded:
            return at
        if _SIX_BITS.match(c):
            digits = (digits + 1) % 4
        elif c != "=" or digits < 2:
            return at
        elif digits == 3:
            padded, digits = True, 0
        else:
            following = text[at + 1 :].lstrip("\r\n")
            if not following:
                return len(text)
            if following[0] != "=":
                return at
            digits = 3
    return len(text) - digits
