"""Kubernetes quantities: exact decimal numbers with a unit suffix, as k8s.io/apimachinery/pkg/api/resource reads and writes them.

An amount is a whole number of nanos, the smallest that the API knows, so arithmetic is plain integers and never loses anything.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache, total_ordering

NANOS = 10**9
_SPLIT = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*(?:[-+]?[0-9]*))")
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)")
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = ("", *_BINARY)
_MAX_BINARY = (2**63 - 1) * NANOS
_MAX_EXPONENT = 2**31

BINARY_SI, DECIMAL_SI, DECIMAL_EXPONENT = "BinarySI", "DecimalSI", "DecimalExponent"


@total_ordering
class Quantity:
    """An immutable quantity. `format` (BinarySI, DecimalSI, DecimalExponent) decides how it is written, never what it equals."""

    __slots__ = ("format", "nanos")

    nanos: int
    format: str

    def __init__(self, amount: Fraction | int = 0, format: str = DECIMAL_SI) -> None:
        """`amount` in whole units (bytes, cores); what is finer than a nano is rounded up."""
        self.nanos = amount * NANOS if isinstance(amount, int) else -(-amount.numerator * NANOS // amount.denominator)
        self.format = format

    @classmethod
    def of_nanos(cls, nanos: int, format: str = DECIMAL_SI) -> Quantity:
        new = cls.__new__(cls)
        new.nanos, new.format = nanos, format
        return new

    @property
    def amount(self) -> Fraction:
        return Fraction(self.nanos, NANOS)

    def milli(self) -> int:
        """In thousandths, rounded up (1500 for "1.5"); away from zero for negative amounts, as upstream's."""
        return _away_from_zero(self.nanos, 10**6)

    def value(self) -> int:
        """In whole units, rounded up; away from zero for negative amounts, as upstream's."""
        return _away_from_zero(self.nanos, NANOS)

    def is_zero(self) -> bool:
        return self.nanos == 0

    def sign(self) -> int:
        return (self.nanos > 0) - (self.nanos < 0)

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __float__(self) -> float:
        return self.nanos / NANOS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __lt__(self, other: Quantity) -> bool:
        return self.nanos < other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity.of_nanos(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity.of_nanos(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def __mul__(self, factor: int) -> Quantity:
        return Quantity.of_nanos(self.nanos * factor, self.format)

    def __neg__(self) -> Quantity:
        return Quantity.of_nanos(-self.nanos, self.format)

    def __str__(self) -> str:
        """The canonical form: no fraction, the largest suffix that loses nothing."""
        nanos = self.nanos
        if not nanos:
            return "0"
        if self.format == BINARY_SI and nanos % NANOS == 0 and abs(nanos) >= 1024 * NANOS:
            number, power = nanos // NANOS, 0
            while power < 6 and number % 1024 == 0:
                number, power = number // 1024, power + 1
            return f"{number}{_BINARY_SUFFIX[power]}"
        number, exponent = nanos, -9
        while (exponent < 18 or self.format == DECIMAL_EXPONENT) and number % 1000 == 0:
            number, exponent = number // 1000, exponent + 3
        if self.format == DECIMAL_EXPONENT:
            return f"{number}e{exponent}" if exponent else str(number)
        return f"{number}{_DECIMAL_SUFFIX[exponent]}"

    def __repr__(self) -> str:
        return f"Quantity({self})"


def _away_from_zero(nanos: int, unit: int) -> int:
    return -(-nanos // unit) if nanos >= 0 else nanos // unit


@lru_cache(maxsize=1 << 14)
def _parse(text: str) -> Quantity:
    match = _SPLIT.fullmatch(text) if text else None
    if match is None:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    sign, whole, fraction, suffix = match[1], match[2], match[3] or "", match[4]
    mantissa = int(f"{whole}{fraction}" or "0")
    form, power, exponent = DECIMAL_SI, 0, -len(fraction)
    if suffix in _DECIMAL:
        exponent += _DECIMAL[suffix]
    elif suffix in _BINARY:
        form, power = BINARY_SI, _BINARY[suffix]
    elif (e := _EXPONENT.fullmatch(suffix)) and abs(int(e[1])) < _MAX_EXPONENT:
        form, exponent = DECIMAL_EXPONENT, exponent + int(e[1])
    else:
        raise ValueError("unable to parse quantity's suffix")
    if mantissa and exponent > 1000:
        raise ValueError("unable to parse numeric part of quantity")
    mantissa <<= power
    shift = exponent + 9
    nanos = mantissa * 10**shift if shift >= 0 else -(-mantissa // 10 ** min(-shift, len(str(mantissa)) + 1))
    if form == BINARY_SI:
        nanos = min(nanos, _MAX_BINARY)
        if 0 < nanos < NANOS:
            form = DECIMAL_SI
    return Quantity.of_nanos(-nanos if sign == "-" else nanos, form)


def parse_quantity(text: str | int | float) -> Quantity:
    """Reads a quantity ("500m", "1.5Gi", "1e3", 2, 0.5). Raises ValueError with upstream's wording."""
    return _parse(text if isinstance(text, str) else str(text))
