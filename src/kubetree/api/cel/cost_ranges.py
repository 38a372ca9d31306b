"""Sizes and costs that are not known yet, only their least and their most."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from .numbers import UINT_MAX


class Range(NamedTuple):
    """From least to most: of a size or of a cost. Sums and products stop at the greatest 64 bit number."""

    least: int
    most: int

    def plus(self, other: Range) -> Range:
        return Range(capped(self.least + other.least), capped(self.most + other.most))

    def times(self, other: Range) -> Range:
        return Range(capped(self.least * other.least), capped(self.most * other.most))

    def scaled(self, factor: float) -> Range:
        """Rounded up."""
        return Range(_scaled(self.least, factor), _scaled(self.most, factor))

    def union(self, other: Range) -> Range:
        return Range(min(self.least, other.least), max(self.most, other.most))


def capped(value: int) -> int:
    """At most the greatest 64 bit number, as everything that is counted here."""
    return min(value, UINT_MAX)


def _scaled(value: int, factor: float) -> int:
    product = float(value) * factor
    return UINT_MAX if product >= 2.0**64 or (value > 0 and factor > 0 and float(value) > UINT_MAX / factor) else ceil(product)


def exactly(value: int) -> Range:
    """A size or a cost that is known."""
    return Range(value, value)


UNKNOWN = Range(0, UINT_MAX)
NOTHING, ONE = exactly(0), exactly(1)
