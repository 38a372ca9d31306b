"""Floating point numbers written as Go writes them: with the fewest digits that read back the same."""

from __future__ import annotations

from decimal import Decimal


def general(value: float) -> str:
    """%g: with an exponent below 1e-04 and from 1e+06 on."""
    sign, digits, point, special = _digits(value)
    if special:
        return special
    if digits == "0" or -4 <= point - 1 < 6:
        return _positional(sign, digits, point)
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'-' if point < 1 else '+'}{abs(point - 1):02d}"


def positional(value: float) -> str:
    """%f with as many decimals as it takes, never an exponent."""
    sign, digits, point, special = _digits(value)
    return special or _positional(sign, digits, point)


def _digits(value: float) -> tuple[str, str, int, str]:
    """Sign, digits, where the point goes, and the text of what is no number."""
    if value != value:
        return "", "", 0, "NaN"
    if value in (float("inf"), float("-inf")):
        return "", "", 0, "+Inf" if value > 0 else "-Inf"
    negative, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    return "-" if negative else "", text, len(text) + exponent, ""


def _positional(sign: str, digits: str, point: int) -> str:
    if digits == "0":
        return sign + "0"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"
