"""A range of cluster IPs: which addresses may be given out, and in which order a free one is looked for. Pure.

Follows pkg/registry/core/service/ipallocator: the lowest addresses (at most 256, a sixteenth of the range) are kept for those who
choose an address themselves and are given out last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from random import Random

IPV4, IPV6 = "IPv4", "IPv6"
Address = IPv4Address | IPv6Address

_MIN_OFFSET, _MAX_OFFSET, _STEP = 16, 256, 16


@dataclass(frozen=True, slots=True)
class IPRange:
    """`first` to `last` are given out, both included; `dynamic` is the first that is not kept for static use."""

    cidr: str
    family: str
    first: int
    dynamic: int
    last: int

    @classmethod
    def of(cls, cidr: str) -> IPRange:
        """Raises ValueError for what is no CIDR, and for an IPv6 range wider than /64."""
        network = ip_network(cidr, strict=False)
        six = isinstance(network, IPv6Network)
        if six and network.prefixlen < 64:
            raise ValueError(f"shortest allowed prefix length for service CIDR is 64, got {network.prefixlen}")
        first, last = int(network.network_address) + 1, int(network.broadcast_address) - (0 if six else 1)
        size = network.num_addresses
        offset = 0 if size <= _MIN_OFFSET else max(_MIN_OFFSET, min(size // _STEP, _MAX_OFFSET))
        return cls(str(network), IPV6 if six else IPV4, first, first + offset, last)

    def __contains__(self, address: Address) -> bool:
        return family_of(address) == self.family and self.first <= int(address) <= self.last

    def candidates(self, random: Random) -> Iterator[Address]:
        """Every address once: the dynamic part from a random start, then the static part from another."""
        yield from self._around(self.dynamic, self.last, random)
        yield from self._around(self.first, self.dynamic - 1, random)

    def _around(self, low: int, high: int, random: Random) -> Iterator[Address]:
        if low > high:
            return
        make = IPv6Address if self.family == IPV6 else IPv4Address
        start = random.randint(low, high)
        for number in range(start, high + 1):
            yield make(number)
        for number in range(low, start):
            yield make(number)


def family_of(address: Address | str) -> str:
    """IPv4 or IPv6. Raises ValueError for a text that is no address."""
    found = ip_address(address) if isinstance(address, str) else address
    return IPV6 if found.version == 6 else IPV4
