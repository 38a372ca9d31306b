"""Kubernetes' ip and cidr libraries."""

from __future__ import annotations

from typing import Any

from kubetree.api.errors import quoted

from ..declarations import function, method, overload, table
from ..errors import EvaluationError
from ..netip import Address, Network, parse_address, parse_network
from ..types import BOOL, INT, STRING, Type, opaque
from ..values import no_such_overload

IP = opaque("net.IP")
CIDR = opaque("net.CIDR")


class IPValue:
    """What `ip(text)` gives."""

    __slots__ = ("address",)
    cel_type: Type = IP

    def __init__(self, address: Address) -> None:
        self.address = address

    def __len__(self) -> int:
        """In bytes: costs go by it."""
        return self.address.bits // 8

    def equals(self, other: Any) -> bool:
        if not isinstance(other, IPValue):
            raise no_such_overload()
        return self.address == other.address

    def cel_string(self) -> str:
        return str(self.address)


class CIDRValue:
    """What `cidr(text)` gives."""

    __slots__ = ("network",)
    cel_type: Type = CIDR

    def __init__(self, network: Network) -> None:
        self.network = network

    def __len__(self) -> int:
        """The prefix's length in bytes, rounded up: costs go by it."""
        return (self.network.length + 7) // 8

    def equals(self, other: Any) -> bool:
        if not isinstance(other, CIDRValue):
            raise no_such_overload()
        return self.network == other.network

    def cel_string(self) -> str:
        return str(self.network)


def _parsed(text: str) -> Address:
    try:
        address, zone = parse_address(text)
    except ValueError as error:
        raise EvaluationError(f"IP Address {quoted(text)} parse error during conversion from string: {error}") from None
    if zone:
        raise EvaluationError(f"IP address {quoted(text)} with zone value is not allowed")
    if address.is_4_in_6:
        raise EvaluationError(f"IPv4-mapped IPv6 address {quoted(text)} is not allowed")
    return address


def _network(text: str) -> Network:
    try:
        network = parse_network(text)
    except ValueError as error:
        raise EvaluationError(f"network address parse error during conversion from string: {error}") from None
    if network.address.is_4_in_6:
        raise EvaluationError(f"IPv4-mapped IPv6 address {quoted(text)} is not allowed")
    return network


def _cidr(text: str) -> CIDRValue:
    try:
        return CIDRValue(_network(text))
    except EvaluationError as error:
        raise EvaluationError(f"network address parse error during conversion from string: {error.message}") from None


def _is(parse: Any) -> Any:
    def run(text: str) -> bool:
        try:
            parse(text)
        except EvaluationError:
            return False
        return True

    return run


def _contains_text(cidr: CIDRValue, text: str) -> bool:
    try:
        return cidr.network.contains(_parsed(text))
    except EvaluationError:
        raise no_such_overload() from None


def _text(value: Any) -> str:
    text: str = value.cel_string()
    return text


NETWORKS = table(
    function("ip", overload("string_to_ip", (STRING,), IP, lambda text: IPValue(_parsed(text)))),
    function("family", method("ip_family", (IP,), INT, lambda ip: 6 if ip.address.is6 else 4)),
    function("ip.isCanonical", overload("ip_is_canonical", (STRING,), BOOL, lambda text: str(_parsed(text)) == text)),
    function("isUnspecified", method("ip_is_unspecified", (IP,), BOOL, lambda ip: ip.address.is_unspecified)),
    function("isLoopback", method("ip_is_loopback", (IP,), BOOL, lambda ip: ip.address.is_loopback)),
    function("isLinkLocalMulticast", method("ip_is_link_local_multicast", (IP,), BOOL, lambda ip: ip.address.is_link_local_multicast)),
    function("isLinkLocalUnicast", method("ip_is_link_local_unicast", (IP,), BOOL, lambda ip: ip.address.is_link_local_unicast)),
    function("isGlobalUnicast", method("ip_is_global_unicast", (IP,), BOOL, lambda ip: ip.address.is_global_unicast)),
    function("isIP", overload("is_ip", (STRING,), BOOL, _is(_parsed))),
    function("string", overload("ip_to_string", (IP,), STRING, _text), overload("cidr_to_string", (CIDR,), STRING, _text)),
    function("cidr", overload("string_to_cidr", (STRING,), CIDR, _cidr)),
    function(
        "containsIP",
        method("cidr_contains_ip_string", (CIDR, STRING), BOOL, _contains_text),
        method("cidr_contains_ip_ip", (CIDR, IP), BOOL, lambda cidr, ip: cidr.network.contains(ip.address)),
    ),
    function(
        "containsCIDR",
        method("cidr_contains_cidr_string", (CIDR, STRING), BOOL, lambda cidr, text: cidr.network.covers(_cidr(text).network)),
        method("cidr_contains_cidr", (CIDR, CIDR), BOOL, lambda cidr, other: cidr.network.covers(other.network)),
    ),
    function("ip", method("cidr_ip", (CIDR,), IP, lambda cidr: IPValue(cidr.network.address))),
    function("prefixLength", method("cidr_prefix_length", (CIDR,), INT, lambda cidr: cidr.network.length)),
    function("masked", method("cidr_masked", (CIDR,), CIDR, lambda cidr: CIDRValue(cidr.network.masked()))),
    function("isCIDR", overload("is_cidr", (STRING,), BOOL, _is(_network))),
)
