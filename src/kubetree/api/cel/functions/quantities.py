"""Kubernetes' quantities in expressions: `quantity('1Gi').isGreaterThan(...)`, `add`, `asInteger`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from kubetree.api.quantities import BINARY_SI, NANOS, Quantity, parse_quantity

from ..declarations import function, method, overload, table
from ..errors import EvaluationError
from ..types import BOOL, DOUBLE, INT, STRING, Type, struct
from ..values import no_such_overload

QUANTITY = struct("kubernetes.Quantity")
_PARTS = re.compile(r"[+-]?0*([0-9]*)(?:\.([0-9]*))?(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]+))?")
_EXPONENTS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BITS = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_FACTORS = 18


class QuantityValue:
    """`scale` is the power of ten that upstream keeps the amount with, None when it keeps a big decimal: what it calls an integer
    depends on that. `sum` marks the result of an addition, which upstream holds in another way, so that nothing equals it."""

    __slots__ = ("quantity", "scale", "sum")
    cel_type: Type = QUANTITY

    def __init__(self, quantity: Quantity, scale: int | None, *, sum: bool = False) -> None:
        self.quantity, self.scale, self.sum = quantity, scale, sum

    def equals(self, other: Any) -> bool:
        if not isinstance(other, QuantityValue) or other.sum:
            raise no_such_overload()
        return self.quantity == other.quantity

    def __str__(self) -> str:
        return str(self.quantity)


def _scale(text: str) -> int | None:
    match = _PARTS.fullmatch(text)
    if match is None:
        return None
    whole, fraction, suffix, exponent = match.groups()
    digits = len(whole) + len(fraction or "")
    if suffix in _BITS:
        if fraction or 15 - len(whole) - int(_BITS[suffix] * 3 / 10) - 1 < 0 or int(whole or 0) << _BITS[suffix] >= 1 << 63:
            return None
        return 0
    scale = int(exponent) if exponent else _EXPONENTS.get(suffix or "", 0)
    scale -= len(fraction or "")
    return scale if digits <= _FACTORS and scale >= -9 else None


def quantity_value(text: str) -> QuantityValue:
    """Raises EvaluationError for what is no quantity."""
    try:
        return QuantityValue(parse_quantity(text), _scale(text))
    except ValueError as error:
        raise EvaluationError(str(error)) from None


def _is_quantity(text: str) -> bool:
    try:
        parse_quantity(text)
    except ValueError:
        return False
    return True


def _integer(value: QuantityValue) -> int | None:
    if value.scale is None or value.scale < 0:
        return None
    amount = value.quantity.nanos // NANOS
    return amount if -(1 << 63) <= amount < 1 << 63 else None


def _as_integer(value: QuantityValue) -> int:
    amount = _integer(value)
    if amount is None:
        raise EvaluationError("cannot convert value to integer")
    return amount


def _as_float(value: QuantityValue) -> float:
    if value.scale is None:
        return float(value.quantity.amount)
    if value.scale == 0:
        return float(value.quantity.nanos // NANOS)
    base = value.quantity.nanos * Fraction(10) ** -(value.scale + 9)
    return float(base) * 10.0**value.scale


def _order(one: QuantityValue, other: QuantityValue) -> int:
    return (one.quantity > other.quantity) - (one.quantity < other.quantity)


def _added(one: QuantityValue, other: QuantityValue, sign: int) -> QuantityValue:
    nanos = one.quantity.nanos + sign * other.quantity.nanos
    known = one.scale is not None and other.scale is not None
    scale = min(one.scale or 0, other.scale or 0) if known else None
    if known and one.quantity.is_zero() and sign > 0:
        scale = other.scale
    if known and other.quantity.is_zero():
        scale = one.scale
    form = other.quantity.format if one.quantity.is_zero() else one.quantity.format
    return QuantityValue(Quantity.of_nanos(nanos, form), scale, sum=True)


def _of_int(value: int) -> QuantityValue:
    return QuantityValue(Quantity(value, "DecimalExponent"), 0)


QUANTITIES = table(
    function("quantity", overload("string_to_quantity", (STRING,), QUANTITY, quantity_value)),
    function("isQuantity", overload("is_quantity_string", (STRING,), BOOL, _is_quantity)),
    function("sign", overload("quantity_sign", (QUANTITY,), INT, lambda value: value.quantity.sign())),
    function("isGreaterThan", method("quantity_is_greater_than", (QUANTITY, QUANTITY), BOOL, lambda one, other: _order(one, other) > 0)),
    function("isLessThan", method("quantity_is_less_than", (QUANTITY, QUANTITY), BOOL, lambda one, other: _order(one, other) < 0)),
    function("compareTo", method("quantity_compare_to", (QUANTITY, QUANTITY), INT, _order)),
    function("asApproximateFloat", method("quantity_get_float", (QUANTITY,), DOUBLE, _as_float)),
    function("asInteger", method("quantity_get_int", (QUANTITY,), INT, _as_integer)),
    function("isInteger", method("quantity_is_integer", (QUANTITY,), BOOL, lambda value: _integer(value) is not None)),
    function(
        "add",
        method("quantity_add", (QUANTITY, QUANTITY), QUANTITY, lambda one, other: _added(one, other, 1)),
        method("quantity_add_int", (QUANTITY, INT), QUANTITY, lambda one, other: _added(one, _of_int(other), 1)),
    ),
    function(
        "sub",
        method("quantity_sub", (QUANTITY, QUANTITY), QUANTITY, lambda one, other: _added(one, other, -1)),
        method("quantity_sub_int", (QUANTITY, INT), QUANTITY, lambda one, other: _added(one, _of_int(other), -1)),
    ),
)
__all__ = ["BINARY_SI", "QUANTITIES", "QUANTITY", "QuantityValue"]
