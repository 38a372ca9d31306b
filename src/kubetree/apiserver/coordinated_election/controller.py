"""Holds elections for the leases that candidates name, and takes candidates away that are gone. One API server at a time does it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from kubetree.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.times import format_micro_time
from kubetree.apiserver.cache.changes import Changes
from kubetree.apiserver.coordinated_election.election import Disagreement, Elected, Ping, election, gone, new_lease, with_elected
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.registry import Writer
from kubetree.apiserver.watch_cache import WatchCache
from kubetree.client.leader_election import LeaderElector, Timing
from kubetree.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)
LEASE = kind("coordination.k8s.io/v1", "Lease")
CANDIDATE = kind("coordination.k8s.io/v1beta1", "LeaseCandidate")
NAME, NAMESPACE = "leader-election-controller", "kube-system"
LOOK_EVERY, COLLECT_EVERY = 5.0, 1800.0

Object = dict[str, Any]
Key = tuple[str, str]


class CoordinatedElection:
    """`caches` are those of leases and candidates; `identity` tells this server from others."""

    def __init__(
        self,
        writer: Writer,
        lister: Lister,
        caches: Iterable[WatchCache],
        clock: Callable[[], datetime],
        identity: str,
        timing: Timing,
    ) -> None:
        self._writer, self._lister, self._caches, self._clock = writer, lister, tuple(caches), clock
        self._elector = LeaderElector(_Leases(writer), NAMESPACE, NAME, identity, timing=timing, now=clock)

    async def run(self) -> None:
        """Until cancelled. Raises LeadershipLost: to be run again."""
        await self._elector.run(self._lead)

    async def _lead(self) -> None:
        collected = float("-inf")
        loop = asyncio.get_running_loop()
        with Changes(*((cache, "") for cache in self._caches)) as changes:
            while True:
                try:
                    await self.elect()
                    if loop.time() - collected >= COLLECT_EVERY:
                        collected = loop.time()
                        await self.collect()
                except (ApiError, StoreUnavailable) as error:
                    log.warning("an election is held later: %s", error)
                await changes.wait(LOOK_EVERY)

    async def elect(self) -> None:
        """One step of each election that there is."""
        waiting: dict[Key, list[Object]] = {}
        for candidate in self._lister.list(CANDIDATE):
            if not gone(candidate, self._clock()):
                key = candidate["metadata"]["namespace"], candidate["spec"]["leaseName"]
                waiting.setdefault(key, []).append(candidate)
        for key, candidates in waiting.items():
            with suppress(Conflict):
                await self._step(key, candidates)

    async def _step(self, key: Key, candidates: list[Object]) -> None:
        try:
            match election(candidates, self._lister.get(LEASE, *key), self._clock()):
                case Ping(names):
                    for name in names:
                        await self._ping(key[0], name)
                case Elected() as elected:
                    await self._give(key, elected)
        except Disagreement as error:
            log.warning("nobody is elected for lease %s/%s: %s", *key, error)

    async def _ping(self, namespace: str, name: str) -> None:
        def pinged(candidate: Object) -> Object:
            return {**candidate, "spec": {**candidate["spec"], "pingTime": format_micro_time(self._clock())}}

        with suppress(NotFound):
            await self._writer.update(CANDIDATE, namespace, name, pinged)

    async def _give(self, key: Key, elected: Elected) -> None:
        try:
            await self._writer.update(LEASE, *key, lambda lease: with_elected(lease, elected, self._clock()))
        except NotFound:
            with suppress(AlreadyExists):
                await self._writer.create(LEASE, new_lease(*key, elected, self._clock()))

    async def collect(self) -> None:
        for candidate in await self._writer.list(CANDIDATE):
            metadata = candidate["metadata"]
            if gone(candidate, self._clock()):
                with suppress(NotFound, Conflict):
                    version = metadata["resourceVersion"]
                    await self._writer.delete(CANDIDATE, metadata["namespace"], metadata["name"], resource_version=version)


class _Leases:
    """A Writer as a LeaderElector asks it."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def get(self, row: Kind, name: str, namespace: str = "") -> Object:
        return await self._writer.get(row, namespace, name)

    async def create(self, row: Kind, obj: Object) -> Object:
        return await self._writer.create(row, obj)

    async def update(self, row: Kind, obj: Object) -> Object:
        metadata = obj["metadata"]

        def replaced(standing: Object) -> Object:
            if standing["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
                raise Conflict("another has renewed the lease")
            return obj

        return await self._writer.update(row, metadata["namespace"], metadata["name"], replaced)
