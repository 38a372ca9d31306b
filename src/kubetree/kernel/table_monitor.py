"""Tells when somebody else changes our tables (`nft flush ruleset`, a careless firewall script), from the kernel's own events.

No polling, and no listing of tables: every change is an nf_tables event that names its table and the netlink port it came from.
Our own events never reach the process: the socket's filter drops them, or a full load would overflow it.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import secrets
import socket
import struct
from collections.abc import Callable, Collection, Iterator

from kubetree.kernel.nftables import Nftables

_NETLINK_NETFILTER = 12
_NFNLGRP_NFTABLES = 7
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1
_SO_ATTACH_FILTER = 26
_NFNL_SUBSYS_NFTABLES = 10
_FAMILIES = {1: "inet", 2: "ip", 5: "netdev", 7: "bridge", 10: "ip6", 3: "arp"}
_TABLE_ATTRIBUTE = 1
"""Every nf_tables message but NEWGEN carries its table's name as attribute 1."""

_LOAD_WORD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_SENDER_OFFSET = 12

Table = tuple[str, str]
"""Family and name: ("ip", "kubetree-proxy")."""


class TableMonitor:
    """Calls `changed(table)` when someone other than `own` changes one of `tables`; for each of them when events were lost."""

    def __init__(self, own: Nftables, tables: Collection[Table], changed: Callable[[Table], None]) -> None:
        self._tables, self._changed = frozenset(tables), changed
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NFNLGRP_NFTABLES)
        self._ignore(self._port_of(own))

    async def run(self) -> None:
        """Follows events until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._read)
        try:
            await asyncio.Event().wait()
        finally:
            loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _read(self) -> None:
        try:
            while True:
                touched = {table for _, table in messages(self._socket.recv(1 << 16))}
                for table in touched & self._tables:
                    self._changed(table)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            for table in self._tables:
                self._changed(table)

    def _port_of(self, own: Nftables) -> int:
        """The netlink port of our own handle: seen in the events of a table that only we know the name of."""
        name = f"kubetree-{os.getpid()}-{secrets.token_hex(4)}"
        own.run(f"add table ip {name}\ndelete table ip {name}\n")
        while True:
            for port, table in messages(self._socket.recv(1 << 16)):
                if table == ("ip", name):
                    return port

    def _ignore(self, port: int) -> None:
        """A classic BPF program: a packet whose first message is of `port` is dropped, all others pass."""
        sender = socket.htonl(port & 0xFFFFFFFF)
        program = b"".join(
            struct.pack("=HBBI", code, yes, no, value)
            for code, yes, no, value in (
                (_LOAD_WORD, 0, 0, _SENDER_OFFSET),
                (_JUMP_EQUAL, 0, 1, sender),
                (_RETURN, 0, 0, 0),
                (_RETURN, 0, 0, 0xFFFFFFFF),
            )
        )
        buffer = ctypes.create_string_buffer(program)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 4, ctypes.addressof(buffer)))


def messages(data: bytes) -> Iterator[tuple[int, Table]]:
    """The netlink messages in one read: the sender's port, and the table that the message is about."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, _, _, port = struct.unpack_from("=IHHII", data, offset)
        if length < 16:
            return
        if kind >> 8 == _NFNL_SUBSYS_NFTABLES and length > 20:
            family = data[offset + 16]
            name = _attribute(data[offset + 20 : offset + length], _TABLE_ATTRIBUTE)
            yield port, (_FAMILIES.get(family, ""), name.rstrip(b"\0").decode(errors="replace"))
        offset += (length + 3) & ~3


def _attribute(data: bytes, wanted: int) -> bytes:
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            break
        if kind & 0x3FFF == wanted:
            return data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return b""
