"""One watch of the whole key space, from which all watches of this process are served.

Every revision of etcd is a change of some key, so whoever has seen the event of a revision has seen everything before it: that tells how
far a watch has come, without progress notifications (which before etcd 3.4.25 and 3.5.8 could overtake events).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence

from kubetree.store.etcd.endpoints import Endpoints
from kubetree.store.etcd.messages import read_watch, watch_request
from kubetree.store.fanout import Hub
from kubetree.store.protocol import Compacted, StoreEvent, StoreUnavailable

log = logging.getLogger(__name__)

RECENT = 2000
"""Events kept so that a watch which starts a moment ago needs no stream of its own."""
_RETRY = 0.2


async def stream(endpoints: Endpoints, after: int) -> AsyncIterator[Sequence[StoreEvent]]:
    """All changes of the key space with a revision greater than `after`. Raises Compacted, StoreUnavailable when the stream ends."""
    async with endpoints.watch() as call:
        call.send(watch_request(after))
        async for messages in call:
            events: list[StoreEvent] = []
            for message in messages:
                watched = read_watch(message)
                if watched.compacted:
                    raise Compacted(after, watched.compacted)
                if watched.canceled is not None:
                    raise StoreUnavailable(f"etcd ended the watch: {watched.canceled}")
                events += watched.events
            if events:
                yield events
        raise StoreUnavailable("etcd ended the watch")


class Follower:
    """Feeds the hub from a revision on, over lost connections."""

    def __init__(self, endpoints: Endpoints, hub: Hub) -> None:
        self._endpoints, self._hub = endpoints, hub
        self._recent: deque[StoreEvent] = deque()
        self._complete_after = hub.revision
        self._reaching_back = asyncio.Lock()

    async def run(self) -> None:
        away = False
        while True:
            try:
                async for events in stream(self._endpoints, self._hub.revision):
                    if away:
                        log.warning("etcd is back; going on from revision %d", self._hub.revision)
                        away = False
                    self._publish(events)
            except Compacted as error:
                log.warning("etcd was compacted past what was seen: %s", error)
                self._start_anew(error)
            except StoreUnavailable as error:
                log.log(logging.DEBUG if away else logging.WARNING, "%s; trying again from revision %d", error, self._hub.revision)
                away = True
                await asyncio.sleep(_RETRY)

    async def recent(self, after: int, prefix: str, upto: int) -> list[StoreEvent] | None:
        """The changes in (after, upto] as far as they are kept; None when those reach back too little.

        Those from a little before this process began are fetched once: the caches of a server that starts all ask for them. Raises
        Compacted, StoreUnavailable.
        """
        if after < self._complete_after and upto - after <= RECENT:
            async with self._reaching_back:
                await self._reach_back(after)
        if after < self._complete_after:
            return None
        return [e for e in self._recent if after < e.revision <= upto and e.key.startswith(prefix)]

    async def history(self, after: int, prefix: str, upto: int) -> list[StoreEvent]:
        """The changes in (after, upto], from a stream of their own. Raises Compacted, StoreUnavailable."""
        found: list[StoreEvent] = []
        async for events in stream(self._endpoints, after):
            found.extend(e for e in events if e.revision <= upto and e.key.startswith(prefix))
            if events[-1].revision >= upto:
                break
        return found

    async def _reach_back(self, after: int) -> None:
        upto = self._complete_after
        if after >= upto:
            return
        older: list[StoreEvent] = []
        async for events in stream(self._endpoints, after):
            older.extend(e for e in events if e.revision <= upto)
            if events[-1].revision >= upto:
                break
        if self._complete_after == upto:
            self._recent.extendleft(reversed(older))
            self._complete_after = after

    def _publish(self, events: Sequence[StoreEvent]) -> None:
        self._recent.extend(events)
        while len(self._recent) > RECENT:
            self._complete_after = self._recent.popleft().revision
        self._hub.publish(events)

    def _start_anew(self, error: Compacted) -> None:
        self._recent.clear()
        self._hub.break_all(error)
        self._hub.revision = self._complete_after = max(error.oldest - 1, self._hub.revision)
