"""Waiting for changes of several kinds at once: how the server's own controllers learn that they should look again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

from kubetree.api.errors import Expired
from kubetree.apiserver.watch_cache import CacheEvent, CacheWatch, WatchCache


class Changes:
    """`with Changes((cache, prefix), ...) as changes: await changes.wait()`. A prefix that ends in no slash is one key.

    Everything that happens after the `with` began is told.
    """

    def __init__(self, *places: tuple[WatchCache, str]) -> None:
        self._places = places
        self._stack = ExitStack()
        self._watches: list[CacheWatch] = []
        self._something = asyncio.Event()

    def __enter__(self) -> Changes:
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def wake(self) -> None:
        """Ends a `wait`, which then tells of nothing."""
        self._something.set()

    async def wait(self, timeout: float | None = None) -> Sequence[CacheEvent] | None:
        """What changed; nothing after `timeout` seconds or `wake`; None when some of it was missed: look at everything."""
        for watch in self._watches:
            watch.notify(self._something.set)
        try:
            async with asyncio.timeout(timeout):
                await self._something.wait()
        except TimeoutError:
            return ()
        self._something.clear()
        try:
            return [event for watch in self._watches for event in watch.take()]
        except Expired:
            self._stack.close()
            self._open()
            return None

    def _open(self) -> None:
        self._watches = [self._stack.enter_context(cache.watch(cache.revision, prefix)) for cache, prefix in self._places]
