"""Whole numbers as the language has them: 64 bits, signed and unsigned, that refuse to overflow."""

from __future__ import annotations

INT_MIN, INT_MAX = -(1 << 63), (1 << 63) - 1
UINT_MAX = (1 << 64) - 1


class UInt(int):
    """An unsigned integer: equal to an int of the same value, and yet of another type."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{int(self)}u"
