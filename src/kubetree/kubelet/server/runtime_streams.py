"""Connections to the runtime's own streaming server, which speaks SPDY: the data of exec, attach and port-forward comes from there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from kubetree.kubelet.server.spdy import Session, SpdyError


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A connection after the runtime's answer; `head` is that answer, whole."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes

    @property
    def switched(self) -> bool:
        return self.head.split(b" ", 2)[1:2] == [b"101"]

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


@asynccontextmanager
async def connect(url: str, headers: Mapping[str, str]) -> AsyncIterator[Upgraded]:
    """Ask for an upgrade to SPDY at `url`, which CRI gave. Raises OSError."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**18)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: Upgrade", "Upgrade: SPDY/3.1", "Content-Length: 0"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        yield Upgraded(reader, writer, await reader.readuntil(b"\r\n\r\n"))
    finally:
        writer.close()


@asynccontextmanager
async def session(url: str, protocols: str) -> AsyncIterator[Session]:
    """A SPDY session with the runtime, running. Raises SpdyError when the runtime does not switch, OSError when it is not there."""
    async with connect(url, {"X-Stream-Protocol-Version": protocols}) as upgraded:
        if not upgraded.switched:
            rest = await upgraded.reader.read(4096)
            raise SpdyError(f"the runtime did not switch protocols: {rest.decode(errors='replace') or upgraded.head.decode()}")
        made = Session(upgraded.reader, upgraded.writer)
        task = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            task.cancel()
            await asyncio.wait({task})
