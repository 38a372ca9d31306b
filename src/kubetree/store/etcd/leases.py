"""Leases: etcd expires keys by them. Keys with the same time to live share one for a while, as upstream's lease manager does."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from kubetree.store.etcd.endpoints import Endpoints
from kubetree.store.etcd.messages import LEASE_GRANT, lease_request, read_lease

MAX_KEYS = 1000
_SHARED_SECONDS, _SHARED_PART = 60.0, 0.05


@dataclass(slots=True)
class _Lease:
    id: int
    until: float
    keys: int = 0


class Leases:
    """`clock` gives seconds, monotonic."""

    def __init__(self, endpoints: Endpoints, clock: Callable[[], float]) -> None:
        self._endpoints, self._clock = endpoints, clock
        self._by_ttl: dict[int, _Lease] = {}
        self._granting = asyncio.Lock()

    async def lease(self, ttl: int) -> int:
        """The id of a lease that lasts at least `ttl` seconds, and at most a twentieth or a minute longer. Raises StoreUnavailable."""
        async with self._granting:
            lease = self._by_ttl.get(ttl)
            if lease is None or lease.until <= self._clock() or lease.keys >= MAX_KEYS:
                shared = min(_SHARED_SECONDS, ttl * _SHARED_PART)
                asked = self._clock()
                granted = await self._endpoints.call(LEASE_GRANT, lease_request(math.ceil(ttl + shared)), repeatable=True)
                lease = self._by_ttl[ttl] = _Lease(read_lease(granted), asked + shared)
            lease.keys += 1
            return lease.id
