"""What is wrong with one field, worded as upstream's field.Error, since clients and tests match on the text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubetree.api.errors import Cause, quoted
from kubetree.api.validation.go_structs import GoStruct

REQUIRED = "FieldValueRequired"
INVALID = "FieldValueInvalid"
NOT_SUPPORTED = "FieldValueNotSupported"
DUPLICATE = "FieldValueDuplicate"
FORBIDDEN = "FieldValueForbidden"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
TOO_FEW = "FieldValueTooFew"
TOO_SHORT = "FieldValueTooShort"
NOT_FOUND = "FieldValueNotFound"
TYPE_INVALID = "FieldValueTypeInvalid"
INTERNAL = "InternalError"

_TEXT = {
    REQUIRED: "Required value",
    INVALID: "Invalid value",
    NOT_SUPPORTED: "Unsupported value",
    DUPLICATE: "Duplicate value",
    FORBIDDEN: "Forbidden",
    TOO_LONG: "Too long",
    TOO_MANY: "Too many",
    TOO_FEW: "Too few",
    TOO_SHORT: "Too short",
    NOT_FOUND: "Not found",
    TYPE_INVALID: "Invalid value",
    INTERNAL: "Internal error",
}
_WITHOUT_VALUE = frozenset({REQUIRED, FORBIDDEN, TOO_LONG, TOO_SHORT, INTERNAL})
OMIT = object()


class Printed(str):
    """A bad value that is text already, just as upstream prints it."""

    __slots__ = ()


quote = quoted
_FOR_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def compact(value: Any, indent: int | None = None) -> str:
    """JSON as Go's json.Marshal writes it: without spaces unless `indent` is given, safe within HTML."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(value, indent=indent, separators=separators, ensure_ascii=False).translate(_FOR_HTML)


def _ordered(value: Any) -> Any:
    """Map keys sorted, as Go writes them, except that a label selector keeps the order of its struct."""
    if isinstance(value, GoStruct):
        return {name: _ordered(item) for name, item in value.items()}
    if isinstance(value, dict):
        names = sorted(value)
        if "matchExpressions" in value and "matchLabels" in value:
            names = ["matchLabels", "matchExpressions"]
        return {name: _ordered(value[name]) for name in names}
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    return value


def render(value: Any) -> str:
    """A bad value as field.Error prints it: strings quoted, numbers plain, objects as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if isinstance(value, Printed) else quote(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    return go_json(value)


def go_json(value: Any, indent: int | None = None) -> str:
    """JSON as Go's encoding/json writes it: map keys sorted, no HTML."""
    return compact(_ordered(value), indent)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule. `type` is a cause's reason, `field` a path such as `spec.containers[0].name`."""

    type: str
    field: str
    value: Any = None
    detail: str = ""

    @property
    def message(self) -> str:
        """Without the field: `Invalid value: "x": must be ...`."""
        text = _TEXT[self.type]
        if self.type not in _WITHOUT_VALUE and self.value is not OMIT:
            text = f"{text}: {render(self.value)}"
        return f"{text}: {self.detail}" if self.detail else text

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def to_cause(self) -> Cause:
        return Cause(self.type, self.message, self.field)


Errors = list[FieldError]
Object = Mapping[str, Any]


def required(field: str, detail: str = "") -> FieldError:
    return FieldError(REQUIRED, field, "", detail)


def invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError(INVALID, field, value, detail)


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError(FORBIDDEN, field, "", detail)


def duplicate(field: str, value: Any, detail: str = "") -> FieldError:
    return FieldError(DUPLICATE, field, value, detail)


def not_found(field: str, value: Any, detail: str = "") -> FieldError:
    return FieldError(NOT_FOUND, field, value, detail)


def not_supported(field: str, value: Any, supported: Iterable[str]) -> FieldError:
    """`supported` in the order to name them in: upstream sorts what it keeps as a set."""
    names = ", ".join(quote(name) for name in supported)
    return FieldError(NOT_SUPPORTED, field, value, f"supported values: {names}" if names else "")


def too_long(field: str, limit: int) -> FieldError:
    detail = f"may not be more than {limit} {'byte' if limit == 1 else 'bytes'}"
    return FieldError(TOO_LONG, field, "", detail if limit >= 0 else "value is too long")


def too_many(field: str, actual: int, limit: int) -> FieldError:
    return FieldError(TOO_MANY, field, actual if actual >= 0 else OMIT, f"must have at most {limit} {'item' if limit == 1 else 'items'}")


def internal(field: str, detail: str) -> FieldError:
    return FieldError(INTERNAL, field, None, detail)


def one_of(errs: Errors, value: str | None, allowed: Sequence[str], field: str) -> None:
    """A value of an enum that must be there."""
    if not value:
        errs.append(required(field))
    elif value not in allowed:
        errs.append(not_supported(field, value, allowed))


def each(errs: Errors, field: str, value: Any, messages: Iterable[str]) -> None:
    """One Invalid a message: what the name formats return."""
    for message in messages:
        errs.append(invalid(field, value, message))
