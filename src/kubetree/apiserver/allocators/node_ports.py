"""Node ports: one bitmap in the store, changed by compare-and-swap, so that a port has one owner whoever asks.

The bitmap is kept as upstream does, a RangeAllocation under /registry/ranges/servicenodeports; a set bit is a port in use.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import TypeVar

import orjson

from kubetree.apiserver.allocators.cluster_ips import AllocationError, Full
from kubetree.store.protocol import Entry, Store

KEY = "/registry/ranges/servicenodeports"
_MIN_OFFSET, _MAX_OFFSET, _STEP = 16, 128, 32

T = TypeVar("T")


class PortSet:
    """The ports of `low` to `high` (both included) that are in use; a copy to be changed and written back as one."""

    def __init__(self, low: int, high: int, used: Iterable[int] = ()) -> None:
        self.low, self.high, self.used = low, high, set(used)

    def take(self, port: int) -> int:
        """Raises AllocationError for a port that is out of range or in use."""
        if not self.low <= port <= self.high:
            raise AllocationError(f"provided port is not in the valid range. The range of valid ports is {self.low}-{self.high}")
        if port in self.used:
            raise AllocationError("provided port is already allocated")
        self.used.add(port)
        return port

    def take_any(self, random: Random) -> int:
        """A free port; the lowest ones, which users choose by hand, last. Raises Full."""
        for port in self._candidates(random):
            if port not in self.used:
                self.used.add(port)
                return port
        raise Full()

    def _candidates(self, random: Random) -> Iterator[int]:
        size = self.high - self.low + 1
        offset = 0 if size <= _MIN_OFFSET else max(_MIN_OFFSET, min(size // _STEP, _MAX_OFFSET))
        for low, high in ((self.low + offset, self.high), (self.low, self.low + offset - 1)):
            if low <= high:
                start = random.randint(low, high)
                yield from range(start, high + 1)
                yield from range(low, start)

    def encode(self) -> bytes:
        """Bits as upstream writes them: one large number, without leading zeros."""
        bits = sum(1 << port - self.low for port in self.used)
        data = base64.b64encode(bits.to_bytes((bits.bit_length() + 7) // 8, "big")).decode()
        allocation = {"kind": "RangeAllocation", "apiVersion": "v1", "metadata": {}, "range": f"{self.low}-{self.high}", "data": data}
        return orjson.dumps(allocation)

    @classmethod
    def decode(cls, value: bytes, low: int, high: int) -> PortSet:
        """The ports of a stored allocation that lie in `low` to `high`, which may have changed since."""
        allocation = orjson.loads(value)
        start = int((allocation.get("range") or str(low)).partition("-")[0])
        bits = base64.b64decode(allocation.get("data") or "")
        used = (start + at * 8 + bit for at, byte in enumerate(reversed(bits)) for bit in range(8) if byte >> bit & 1)
        return cls(low, high, (port for port in used if low <= port <= high))


class NodePorts:
    """The node ports that are taken, in one stored object that all servers change by compare-and-swap. `low` and `high` both count."""

    def __init__(self, low: int, high: int, store: Store) -> None:
        self.low, self.high = low, high
        self._store = store
        self._turn = asyncio.Lock()
        self._entry: Entry | None = None
        self._read = False

    async def change(self, change: Callable[[PortSet], T]) -> T:
        """Applies `change` to the ports in use and writes them; again on fresh ones when another server came between.

        `change` may raise, then nothing is written. What is remembered may be old, which a write notices by itself; that a port is
        taken, or that there is nothing to do, is said of what the store has now.
        """
        async with self._turn:
            now = not self._read
            while True:
                ports = await self._current()
                before = set(ports.used)
                try:
                    result = change(ports)
                except Exception:
                    if now or not await self._outdated():
                        raise
                else:
                    if ports.used == before:
                        if now or not await self._outdated():
                            return result
                    elif await self._write(ports):
                        return result
                now = True

    async def look(self, look: Callable[[PortSet], T]) -> T:
        """What `change` would answer, written nowhere."""
        async with self._turn:
            await self._outdated()
            return look(await self._current())

    async def release(self, ports: Iterable[int]) -> None:
        gone = set(ports)
        if gone:
            await self.change(lambda found: found.used.difference_update(gone))

    async def _outdated(self) -> bool:
        """Reads anew. Whether another server has written since."""
        before, self._read = self._entry, True
        self._entry, _ = await self._store.get(KEY)
        return (self._entry and self._entry.revision) != (before and before.revision)

    async def _current(self) -> PortSet:
        if not self._read:
            self._entry, _ = await self._store.get(KEY)
            self._read = True
        if self._entry is None:
            return PortSet(self.low, self.high)
        return PortSet.decode(self._entry.value, self.low, self.high)

    async def _write(self, ports: PortSet) -> bool:
        value = ports.encode()
        if self._entry is None:
            written = await self._store.create(KEY, value)
        else:
            written = await self._store.update(KEY, value, self._entry.revision)
        if written.ok:
            self._entry = Entry(KEY, value, written.revision, written.revision)
        else:
            self._entry = written.current
        return written.ok
