"""Kubernetes quantities: exact decimal numbers with a unit suffix, as k8s.io/apimachinery/pkg/api/resource reads and writes them."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache, total_ordering
from math import ceil

_PATTERN = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]+)?")
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SUFFIX = {v: k for k, v in _DECIMAL.items()}
_NANO = Fraction(1, 10**9)
_MAX = Fraction(2**63 - 1)


@total_ordering
class Quantity:
    """An immutable quantity. `format` is BinarySI, DecimalSI or DecimalExponent and decides how it is written."""

    __slots__ = ("amount", "format")

    def __init__(self, amount: Fraction | int, format: str = "DecimalSI") -> None:
        self.amount, self.format = Fraction(amount), format

    def milli(self) -> int:
        return ceil(self.amount * 1000)

    def value(self) -> int:
        return ceil(self.amount)

    def is_zero(self) -> bool:
        return self.amount == 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.amount == other.amount

    def __lt__(self, other: Quantity) -> bool:
        return self.amount < other.amount

    def __hash__(self) -> int:
        return hash(self.amount)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.amount + other.amount, self.format if self.amount else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.amount - other.amount, self.format if self.amount else other.format)

    def __neg__(self) -> Quantity:
        return Quantity(-self.amount, self.format)

    def __str__(self) -> str:
        amount = self.amount
        if not amount:
            return "0"
        if self.format == "BinarySI" and abs(amount) >= 1024 and amount.denominator == 1:
            number, power = amount.numerator, 0
            while number % 1024 == 0 and power < 6:
                number, power = number // 1024, power + 1
            return f"{number}{[*[''], *_BINARY][power]}"
        exponent = 18
        while exponent > -9 and (amount / Fraction(10) ** exponent).denominator != 1:
            exponent -= 3
        number = ceil(amount / Fraction(10) ** exponent)
        if self.format == "DecimalExponent":
            return f"{number}e{exponent}" if exponent else str(number)
        return f"{number}{_SUFFIX[exponent]}"

    def __repr__(self) -> str:
        return f"Quantity({self})"


@lru_cache(maxsize=1 << 14)
def parse_quantity(text: str | int | float) -> Quantity:
    """Raises ValueError with upstream's wording."""
    raw = str(text)
    match = _PATTERN.fullmatch(raw)
    if match is None:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    sign, digits, suffix = match[1], match[2], match[3] or ""
    amount = Fraction(digits.rstrip(".") if not digits.startswith(".") else "0" + digits)
    style = "DecimalSI"
    if suffix in _BINARY:
        amount, style = amount * 1024 ** _BINARY[suffix], "BinarySI"
    elif suffix in _DECIMAL:
        amount *= Fraction(10) ** _DECIMAL[suffix]
    else:
        amount, style = amount * Fraction(10) ** int(suffix[1:]), "DecimalExponent"
    if amount % _NANO:
        amount = ceil(amount / _NANO) * _NANO
    amount = min(amount, _MAX)
    return Quantity(-amount if sign == "-" else amount, style)
