"""Netlink messages taken apart, and sysctls."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from kubetree.kernel.conntrack import parse_flow
from kubetree.kernel.sysctls import SysctlError, ensure, ensure_at_least
from kubetree.kernel.table_monitor import messages


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def message(kind: int, port: int, family: int, body: bytes) -> bytes:
    return struct.pack("=IHHIIBBH", 20 + len(body), kind, 0, 0, port, family, 0, 0) + body


def test_events_name_their_sender_and_table() -> None:
    data = message(10 << 8 | 12, 7, 2, attribute(1, b"kubetree-proxy\0") + attribute(2, b"services\0"))
    data += message(10 << 8 | 0, 9, 10, attribute(1, b"other\0")) + message(1 << 8, 9, 2, b"")
    assert list(messages(data)) == [(7, ("ip", "kubetree-proxy")), (9, ("ip6", "other"))]


def tuple_of(source: str, destination: str, ports: tuple[int, int], protocol: int = 17) -> bytes:
    ips = attribute(1, socket.inet_aton(source)) + attribute(2, socket.inet_aton(destination))
    proto = attribute(1, bytes([protocol])) + attribute(2, struct.pack("!H", ports[0])) + attribute(3, struct.pack("!H", ports[1]))
    return attribute(1 | 0x8000, ips) + attribute(2 | 0x8000, proto)


def test_a_udp_flow() -> None:
    original = tuple_of("10.244.0.3", "10.96.0.9", (4000, 53))
    reply = tuple_of("10.244.0.2", "10.244.0.3", (5353, 4000))
    flow = parse_flow(attribute(1 | 0x8000, original) + attribute(2 | 0x8000, reply) + attribute(12, b"\1\2\3\4"), socket.AF_INET)
    assert flow is not None
    assert (flow.destination, flow.answering) == (("10.96.0.9", 53), ("10.244.0.2", 5353))
    assert flow.identity == attribute(1 | 0x8000, original) + attribute(12, b"\1\2\3\4")


def test_other_protocols_are_no_flow() -> None:
    original = tuple_of("10.244.0.3", "10.96.0.9", (4000, 53), protocol=6)
    assert parse_flow(attribute(1, original) + attribute(2, original), socket.AF_INET) is None
    assert parse_flow(b"", socket.AF_INET) is None


def test_sysctls_are_written_only_when_they_differ(tmp_path: Path) -> None:
    setting = tmp_path / "net" / "forward"
    setting.parent.mkdir()
    setting.write_text("1\n")
    setting.chmod(0o444)
    ensure({"net/forward": 1}, tmp_path)
    assert ensure_at_least("net/forward", 1, tmp_path)
    assert not ensure_at_least("net/missing", 5, tmp_path)
    with pytest.raises(SysctlError, match=r"sysctl -w net\.missing=1"):
        ensure({"net/missing": 1}, tmp_path)
