"""IP addresses and networks as Go's net/netip reads and writes them, with its messages."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from kubetree.api.errors import quoted

_HEX = re.compile(r"[0-9a-fA-F]*")


class Address(NamedTuple):
    """An address as a number of 32 bits, or of 128 where `is6`. IPv4 in IPv6 stays IPv6, as with Go's netip.Addr."""

    value: int
    is6: bool

    def __str__(self) -> str:
        return str(ipaddress.IPv6Address(self.value) if self.is6 else ipaddress.IPv4Address(self.value))

    @property
    def bits(self) -> int:
        return 128 if self.is6 else 32

    @property
    def is_4_in_6(self) -> bool:
        return self.is6 and self.value >> 32 == 0xFFFF

    def starts_with(self, prefix: int, length: int) -> bool:
        """Whether the first `length` bits are `prefix`."""
        return self.value >> (self.bits - length) == prefix

    @property
    def is_unspecified(self) -> bool:
        return self.value == 0

    @property
    def is_loopback(self) -> bool:
        return self.value == 1 if self.is6 else self.starts_with(127, 8)

    @property
    def is_multicast(self) -> bool:
        return self.starts_with(0xFF, 8) if self.is6 else self.starts_with(0b1110, 4)

    @property
    def is_link_local_multicast(self) -> bool:
        return (self.value >> 112) & 0xFF0F == 0xFF02 if self.is6 else self.starts_with(0xE00000, 24)

    @property
    def is_link_local_unicast(self) -> bool:
        return self.starts_with(0xFE80 >> 6, 10) if self.is6 else self.starts_with(0xA9FE, 16)

    @property
    def is_global_unicast(self) -> bool:
        if self.is_unspecified or (not self.is6 and self.value == 0xFFFFFFFF):
            return False
        return not (self.is_loopback or self.is_multicast or self.is_link_local_unicast)


class Network(NamedTuple):
    """An address and how many of its first bits count; the others are kept as written."""

    address: Address
    length: int

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"

    def masked(self) -> Network:
        shift = self.address.bits - self.length
        return Network(Address(self.address.value >> shift << shift, self.address.is6), self.length)

    def contains(self, address: Address) -> bool:
        shift = self.address.bits - self.length
        return address.is6 is self.address.is6 and address.value >> shift == self.address.value >> shift

    def covers(self, other: Network) -> bool:
        return self.length <= other.length and self.contains(other.address)


class _Bad(ValueError):
    def __init__(self, text: str, reason: str, at: str = "") -> None:
        super().__init__(f"ParseAddr({quoted(text)}): {reason}" + (f" (at {quoted(at)})" if at else ""))


def parse_address(text: str) -> tuple[Address, str]:
    """An address and its zone. Raises ValueError."""
    for c in text:
        if c == ".":
            return Address(_four(text, text), False), ""
        if c == ":":
            return _six(text)
        if c == "%":
            raise _Bad(text, "missing IPv6 address")
    raise _Bad(text, "unable to parse IP")


def _four(whole: str, text: str) -> int:
    value, digits, fields = 0, 0, [0, 0, 0, 0]
    at = 0
    for i, c in enumerate(text):
        if "0" <= c <= "9":
            if digits == 1 and value == 0:
                raise _Bad(whole, "IPv4 field has octet with leading zero")
            value, digits = value * 10 + int(c), digits + 1
            if value > 255:
                raise _Bad(whole, "IPv4 field has value >255")
        elif c == ".":
            if i == 0 or i == len(text) - 1 or text[i - 1] == ".":
                raise _Bad(whole, "IPv4 field must have at least one digit", text[i:])
            if at == 3:
                raise _Bad(whole, "IPv4 address too long")
            fields[at] = value
            at, value, digits = at + 1, 0, 0
        else:
            raise _Bad(whole, "unexpected character", text[i:])
    if at < 3:
        raise _Bad(whole, "IPv4 address too short")
    fields[3] = value
    return int.from_bytes(bytes(fields), "big")


def _six(whole: str) -> tuple[Address, str]:
    text, percent, zone = whole.partition("%")
    if percent and not zone:
        raise _Bad(whole, "zone must be a non-empty string")
    out = bytearray()
    gap = -1
    if text.startswith("::"):
        gap, text = 0, text[2:]
        if not text:
            return Address(0, True), zone
    while len(out) < 16:
        match = _HEX.match(text)
        group = match.group() if match else ""
        if len(group) > 4:
            raise _Bad(whole, "each group must have 4 or less digits", text)
        if not group:
            raise _Bad(whole, "each colon-separated field must have at least one digit", text)
        if text[len(group) : len(group) + 1] == ".":
            if gap < 0 and len(out) != 12:
                raise _Bad(whole, "embedded IPv4 address must replace the final 2 fields of the address", text)
            if len(out) + 4 > 16:
                raise _Bad(whole, "too many hex fields to fit an embedded IPv4 at the end of the address", text)
            out += _four(whole, text).to_bytes(4, "big")
            text = ""
            break
        out += int(group, 16).to_bytes(2, "big")
        text = text[len(group) :]
        if not text:
            break
        if text[0] != ":":
            raise _Bad(whole, "unexpected character, want colon", text)
        if len(text) == 1:
            raise _Bad(whole, "colon must be followed by more characters", text)
        text = text[1:]
        if text[0] == ":":
            if gap >= 0:
                raise _Bad(whole, "multiple :: in address", text)
            gap, text = len(out), text[1:]
            if not text:
                break
    if text:
        raise _Bad(whole, "trailing garbage after address", text)
    if len(out) < 16:
        if gap < 0:
            raise _Bad(whole, "address string too short")
        out[gap:gap] = bytes(16 - len(out))
    elif gap >= 0:
        raise _Bad(whole, "the :: must expand to at least one field of zeros")
    return Address(int.from_bytes(out, "big"), True), zone


def parse_network(text: str) -> Network:
    """An address with the length of its prefix. Raises ValueError."""

    def bad(reason: str) -> ValueError:
        return ValueError(f"netip.ParsePrefix({quoted(text)}): {reason}")

    address_text, slash, bits = text.rpartition("/")
    if not slash:
        raise bad("no '/'")
    try:
        address, zone = parse_address(address_text)
    except ValueError as error:
        raise bad(str(error)) from None
    if zone:
        raise bad("IPv6 zones cannot be present in a prefix")
    if re.fullmatch(r"0|[1-9][0-9]*", bits) is None:
        raise bad(f"bad bits after slash: {quoted(bits)}")
    if int(bits) > address.bits:
        raise bad("prefix length out of range")
    return Network(address, int(bits))
