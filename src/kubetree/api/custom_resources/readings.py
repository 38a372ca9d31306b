"""What kube-openapi takes a JSON value for when it holds it against a schema: of which type, in which range, equal to what."""

from __future__ import annotations

import math
from typing import Any

from kubetree.api.custom_resources.correlation import same


def json_type(value: Any) -> tuple[str, str]:
    """(JSON type, Go format) of a value."""
    if value is None:
        return "null", ""
    if isinstance(value, bool):
        return "boolean", ""
    if isinstance(value, int):
        return "integer", "int64"
    if isinstance(value, float):
        return "number", "float64"
    if isinstance(value, str):
        return "string", ""
    return ("array", "") if isinstance(value, list) else ("object", "")


def is_whole(value: Any) -> bool:
    """`2.0`: a float that is a whole number, and exactly so."""
    return isinstance(value, float) and math.isfinite(value) and abs(value) < 2**53 and value.is_integer()


def numbers_agree(types: tuple[str, ...], sort: str, value: Any) -> bool:
    """A whole number is an integer however it is written, and every integer is a number."""
    return (sort == "number" and "integer" in types and is_whole(value)) or (sort == "integer" and "number" in types)


def type_passes(types: tuple[str, ...], form: str, value: Any) -> bool:
    """Whether a value is of one of the JSON types, or of the format. `form` is one that the type knows, or ''."""
    if not types and not form:
        return True
    sort, own = json_type(value)
    agrees = sort in types or numbers_agree(types, sort, value)
    if sort not in ("string", "array") and form and not (agrees or own == form):
        return False
    if form and sort in ("string", "array") and not {"number", "integer"} & set(types):
        return True
    return agrees


def equals_allowed(value: Any, allowed: Any) -> bool:
    """Go converts the value to the type of what is allowed before it compares, which lets 2.5 pass for 2."""
    if value is None or allowed is None:
        return False
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if isinstance(allowed, int) and not isinstance(allowed, bool):
            return math.isfinite(value) and int(value) == allowed
        if isinstance(allowed, float):
            return float(value) == allowed
        if isinstance(allowed, str) and isinstance(value, int):
            return 0 <= value < 0x110000 and chr(value) == allowed
    return same(value, allowed)


def all_different(value: list[Any]) -> bool:
    return not any(same(a, b) for i, a in enumerate(value) for b in value[:i])


def in_range(value: Any, sort: str, form: str) -> bool:
    """Whether Go's type for the JSON type `sort` in this format holds the number."""
    if sort == "integer":
        if isinstance(value, float) and not is_whole(value):
            return False
        bound = 2**31 if form == "int32" else 2**63
        return bool(-bound <= value < bound)
    return form != "float" or not math.isfinite(value) or abs(value) <= 3.4028234663852886e38


def is_multiple(value: Any, step: Any) -> bool:
    """Floats divide as go-openapi divides them: to within 1e-9."""
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    times = 1 / step * value if step < 1 else value / step
    return math.isfinite(times) and abs(times) < 2**53 and abs(times - round(times)) < 1e-9
