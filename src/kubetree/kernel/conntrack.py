"""The kernel's connection tracking of UDP: lists and deletes flows, a few ctnetlink messages of which only the tuples matter."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_NETLINK_NETFILTER = 12
_CTNETLINK_NEW, _CTNETLINK_GET, _CTNETLINK_DELETE = 0x100, 0x101, 0x102
_NLM_REQUEST, _NLM_ACK, _NLM_DUMP = 0x1, 0x4, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY, _CTA_ZONE, _CTA_ID = 1, 2, 18, 12
_CTA_TUPLE_IP, _CTA_TUPLE_PROTO = 1, 2
_CTA_IP_SOURCE, _CTA_IP_DESTINATION = {2: 1, 10: 3}, {2: 2, 10: 4}
_CTA_PROTO_NUM, _CTA_PROTO_SRC_PORT, _CTA_PROTO_DST_PORT = 1, 2, 3
_NESTED = 0x8000
UDP = 17

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Flow:
    """A tracked UDP flow: where the client sent, and who answers. `identity` is the attributes that name it to the kernel."""

    destination: Address
    answering: Address
    identity: bytes


def delete_udp_flows(stale: Callable[[Flow], bool], version: int) -> int:
    """Deletes the UDP flows of one IP version that `stale` says yes to; returns how many. Raises OSError when the kernel refuses."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.bind((0, 0))
        found = [flow for flow in _udp_flows(netlink, family) if stale(flow)]
        return sum(_delete(netlink, family, flow) for flow in found)


def _message(kind: int, flags: int, family: int, attributes: bytes = b"") -> bytes:
    return struct.pack("=IHHIIBBH", 20 + len(attributes), kind, flags, 0, 0, family, 0, 0) + attributes


def _udp_flows(netlink: socket.socket, family: int) -> Iterator[Flow]:
    netlink.send(_message(_CTNETLINK_GET, _NLM_REQUEST | _NLM_DUMP, family))
    while True:
        data = netlink.recv(1 << 18)
        offset = 0
        while offset + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, offset)
            if kind == _NLMSG_DONE or length < 16:
                return
            if kind == _NLMSG_ERROR:
                _raise(data, offset)
            elif kind == _CTNETLINK_NEW and (flow := parse_flow(data[offset + 20 : offset + length], family)):
                yield flow
            offset += (length + 3) & ~3


def _delete(netlink: socket.socket, family: int, flow: Flow) -> bool:
    """False when the flow had ended by itself."""
    netlink.send(_message(_CTNETLINK_DELETE, _NLM_REQUEST | _NLM_ACK, family, flow.identity))
    data = netlink.recv(1 << 16)
    code: int = struct.unpack_from("=i", data, 16)[0]
    if code and code != -errno.ENOENT:
        _raise(data, 0)
    return code == 0


def _raise(data: bytes, offset: int) -> None:
    code: int = struct.unpack_from("=i", data, offset + 16)[0]
    raise OSError(-code, f"connection tracking: {errno.errorcode.get(-code, str(-code))}")


def parse_flow(data: bytes, family: int) -> Flow | None:
    """A flow from the attributes of a conntrack message; None unless it is UDP."""
    found = dict(_attributes(data))
    original, reply = found.get(_CTA_TUPLE_ORIG), found.get(_CTA_TUPLE_REPLY)
    if original is None or reply is None:
        return None
    sent, answered = _ends(original, family), _ends(reply, family)
    if sent is None or answered is None:
        return None
    identity = _attribute(_CTA_TUPLE_ORIG | _NESTED, original)
    for plain in (_CTA_ZONE, _CTA_ID):
        if plain in found:
            identity += _attribute(plain, found[plain])
    return Flow(destination=sent[1], answering=answered[0], identity=identity)


def _ends(data: bytes, family: int) -> tuple[Address, Address] | None:
    """Source and destination of a UDP tuple."""
    parts = dict(_attributes(data))
    ports = dict(_attributes(parts.get(_CTA_TUPLE_PROTO, b"")))
    if ports.get(_CTA_PROTO_NUM) != bytes([UDP]):
        return None
    ips = dict(_attributes(parts[_CTA_TUPLE_IP]))

    def end(ip: int, port: int) -> Address:
        return str(ipaddress.ip_address(ips[ip])), int.from_bytes(ports[port], "big")

    return end(_CTA_IP_SOURCE[family], _CTA_PROTO_SRC_PORT), end(_CTA_IP_DESTINATION[family], _CTA_PROTO_DST_PORT)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            return
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
