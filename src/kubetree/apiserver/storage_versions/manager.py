"""Writes the server's entries into StorageVersion objects, at its start and again now and then, and knows which are not written yet.

Follows apiserver/pkg/storageversion's manager and kube-aggregator's post-start hook. Only with the gates StorageVersionAPI and
APIServerIdentity.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from kubetree.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from kubetree.api.kind_table import kind
from kubetree.api.storage_versions import object_name, server_entry, with_entry
from kubetree.api.times import format_time
from kubetree.apiserver.registry import Writer
from kubetree.apiserver.storage_versions.resources import Stored
from kubetree.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)
Object = dict[str, Any]
STORAGE_VERSION = kind("internal.apiserver.k8s.io/v1alpha1", "StorageVersion")
AGAIN_EVERY = 600.0
"""Seconds after which somebody else's changes are put right."""
_ATTEMPTS, _PAUSE = 3, 1.0


class StorageVersions:
    """`complete` is true once all are written; until then `pending` tells of one group resource (`pods`, `deployments.apps`)."""

    def __init__(self, writer: Writer, clock: Callable[[], datetime], server: str, resources: Sequence[Stored]) -> None:
        self._writer, self._clock, self._server, self._resources = writer, clock, server, resources
        self._errors: dict[str, str] = {name: "<nil>" for each in resources for name in each.names}
        """Of those not written yet: what the last attempt failed with."""
        self.complete = False

    def pending(self, group_resource: str) -> str | None:
        """What the last attempt failed with, `<nil>` before the first; None when the resource need not be waited for."""
        return self._errors.get(group_resource)

    async def register(self) -> None:
        """Returns when all are written."""
        while not self.complete:
            await self._write_all()
            if self._errors:
                await asyncio.sleep(_PAUSE)
        log.debug("storage versions are registered")

    async def run(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_EVERY)
            await self._write_all()

    async def _write_all(self) -> None:
        """Side by side: a store that commits in groups takes few commits."""
        async with asyncio.TaskGroup() as tasks:
            for stored in self._resources:
                tasks.create_task(self._write(stored))
        self.complete = self.complete or not self._errors

    async def _write(self, stored: Stored) -> None:
        failures = 0
        while failures < _ATTEMPTS:
            try:
                await self._write_once(stored)
            except (AlreadyExists, Conflict):
                await asyncio.sleep(_PAUSE)
            except (ApiError, StoreUnavailable) as error:
                failures += 1
                log.warning("the storage version of %s could not be written: %s", stored.names[0], error)
                for name in stored.names:
                    if name in self._errors:
                        self._errors[name] = str(error)
                await asyncio.sleep(_PAUSE)
            else:
                for name in stored.names:
                    self._errors.pop(name, None)
                return

    async def _write_once(self, stored: Stored) -> None:
        name, entry = object_name(stored.group, stored.plural), server_entry(self._server, stored.encoding, stored.decodable, stored.served)

        def change(obj: Object) -> Object:
            return with_entry(obj, entry, format_time(self._clock()))

        try:
            await self._writer.update(STORAGE_VERSION, "", name, change, subresource="status")
        except NotFound:
            await self._writer.create(STORAGE_VERSION, {"metadata": {"name": name}, "spec": {}})
            await self._writer.update(STORAGE_VERSION, "", name, change, subresource="status")
