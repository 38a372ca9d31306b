"""Ports on loopback for servers that tests start with one: of those that the kernel gives to no connection by itself meanwhile."""

from __future__ import annotations

import contextlib
import secrets
import socket
from pathlib import Path


def free_port() -> int:
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    lowest = first_given // 2
    while True:
        port = lowest + secrets.randbelow(first_given - lowest)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
