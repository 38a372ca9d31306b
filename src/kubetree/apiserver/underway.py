"""Writes that the store has been asked for and has not answered. Another write of the same key would start from what is about to be old, and be
refused: it waits for the answer, and starts from what that wrote.

A hint, not a lock: nothing waits for admission or validation of another request, and whoever comes between makes a compare-and-swap fail as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from kubetree.store.protocol import Written


class Underway:
    def __init__(self) -> None:
        self._writes: dict[str, asyncio.Future[tuple[bytes, int] | None]] = {}

    async def settled(self, key: str) -> tuple[bytes, int] | None:
        """Returns when nobody writes the key: the value and the revision that the last one who did wrote, None when it is not known."""
        last = None
        while (write := self._writes.get(key)) is not None:
            await asyncio.wait((write,))  # which does not cancel it, as awaiting would
            last = write.result() or last
        return last

    def __contains__(self, key: str) -> bool:
        return key in self._writes

    async def write(self, key: str, value: bytes, answer: Awaitable[Written]) -> Written:
        """Gives the store's answer to a write of `value`. Raises what that raises."""
        write: asyncio.Future[tuple[bytes, int] | None] = asyncio.get_running_loop().create_future()
        self._writes[key] = write
        written = None
        try:
            result = await answer
            if result.ok:
                written = value, result.revision
            return result
        finally:
            write.set_result(written)
            if self._writes.get(key) is write:
                del self._writes[key]
