"""The APIServices of other servers: a task for each keeps its condition and what it serves up to date; requests find it here.

Without any, this costs a request one look at an empty table.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from kubetree.api.errors import ApiError, NotFound
from kubetree.api.objects import condition
from kubetree.api.times import format_time
from kubetree.apiserver.aggregation import availability, discovery
from kubetree.apiserver.aggregation.api_services import API_SERVICE, AVAILABLE, is_remote, with_condition
from kubetree.apiserver.aggregation.availability import ENDPOINT_SLICE, LOCAL, SERVICE, SERVICE_NAME, Verdict
from kubetree.apiserver.aggregation.remote import Remote, Transport
from kubetree.apiserver.cache.changes import Changes
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.registry import Registry, Writer
from kubetree.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)
RESYNC = 30.0
"""Seconds between looks at a server that nothing has changed about."""
_BACK_OFF = (0.05, 30.0)

Object = dict[str, Any]


class Remotes:
    """`changed` is called when discovery of all must be made anew."""

    def __init__(self, registry: Registry, lister: Lister, writer: Writer, transport: Transport, changed: Callable[[], None]) -> None:
        self._registry, self._lister, self._writer = registry, lister, writer
        self._transport, self._changed = transport, changed
        self._by_version: dict[tuple[str, str], Remote] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.outages: dict[tuple[str, str], int] = {}
        """(APIService, reason) to how often it became unavailable for it."""

    def __bool__(self) -> bool:
        return bool(self._by_version)

    def __iter__(self) -> Iterator[Remote]:
        return iter(self._by_version.values())

    def serving(self, path: str) -> Remote | None:
        """Whose a request is by its path; None: this server's own."""
        parts = path.split("/", 4)
        if len(parts) > 3 and parts[1] == "apis":
            return self._by_version.get((parts[2], parts[3]))
        if len(parts) > 1 and parts[1] == "api":
            return self._by_version.get(("", "v1"))
        return None

    def take(self, services: list[Object]) -> None:
        """The APIServices as they stand: those that are not known yet are known from now on, and the others are forgotten."""
        found = {obj["metadata"]["name"]: obj for obj in services if is_remote(obj)}
        for remote in list(self):
            if remote.name not in found or found[remote.name]["spec"]["service"] != remote.obj["spec"]["service"]:
                del self._by_version[remote.group, remote.version]
                task = self._tasks.pop(remote.name, None)
                if task is not None:
                    task.cancel()
                self._changed()
        for obj in found.values():
            spec = obj["spec"]
            known = self._by_version.get((spec.get("group") or "", spec["version"]))
            if known is not None:
                if known.obj["spec"] != spec:
                    self._changed()
                known.obj = obj
            else:
                self._by_version[spec.get("group") or "", spec["version"]] = Remote(obj)
                self._changed()

    async def run(self) -> None:
        """Follows APIServices until cancelled."""
        cache = self._registry.resource(API_SERVICE).cache
        async with asyncio.TaskGroup() as group:
            with Changes((cache, "")) as changes:
                while True:
                    services = list(self._lister.list(API_SERVICE))
                    self.take(services)
                    for remote in self:
                        if remote.name not in self._tasks:
                            self._tasks[remote.name] = group.create_task(self._follow(remote), name=f"APIService {remote.name}")
                    for obj in services:
                        if not is_remote(obj):
                            await self._keep_local(obj)
                    await changes.wait()

    async def _keep_local(self, obj: Object) -> None:
        """One that was another server's and is this one's now is available again."""
        found = condition(obj, AVAILABLE)
        if found is None or (found.get("status"), found.get("reason")) != (LOCAL.status, LOCAL.reason):
            try:
                await self._publish(obj["metadata"]["name"], LOCAL)
            except (ApiError, StoreUnavailable) as error:
                log.warning("the condition of APIService %s could not be written: %s", obj["metadata"]["name"], error)

    async def _follow(self, remote: Remote) -> None:
        namespace, name, _ = remote.service
        services, slices = (self._registry.resource(row) for row in (SERVICE, ENDPOINT_SLICE))
        own = self._registry.resource(API_SERVICE)
        failures = 0
        with Changes(
            (services.cache, services.key(namespace, name)),
            (slices.cache, slices.scope_prefix(namespace)),
            (own.cache, own.key("", remote.name)),
        ) as changes:
            while True:
                try:
                    verdict = await availability.check(remote, self._lister, self._transport)
                    remote.obj = await self._publish(remote.name, verdict)
                except NotFound:
                    return
                except (ApiError, StoreUnavailable) as error:
                    log.warning("the condition of APIService %s could not be written: %s", remote.name, error)
                    verdict = Verdict("Unknown", "", "")
                if await discovery.refresh(remote, self._transport):
                    self._changed()
                failures = 0 if verdict.status == "True" and not remote.stale else failures + 1
                pause = min(_BACK_OFF[0] * 2.0 ** min(failures, 20), _BACK_OFF[1]) if failures else RESYNC
                while (events := await changes.wait(pause)) and not any(_concerns(event.current.obj, remote, verdict) for event in events):
                    continue

    async def _publish(self, name: str, verdict: Verdict) -> Object:
        """Writes the condition where it is another. Returns the object."""
        now = format_time(self._now())

        def change(obj: Object) -> Object | None:
            new = with_condition(obj, verdict.status, verdict.reason, verdict.message, now)
            if new["status"] == obj.get("status"):
                return None
            before = condition(obj, AVAILABLE)
            if verdict.status != "True" and (before is None or before.get("status") == "True"):
                self.outages[name, verdict.reason] = self.outages.get((name, verdict.reason), 0) + 1
            return new

        return await self._writer.update(API_SERVICE, "", name, change, subresource="status")

    def _now(self) -> datetime:
        return self._registry.clock()


def _concerns(obj: Object, remote: Remote, verdict: Verdict) -> bool:
    """Whether a change may change the verdict: of the Service, of its endpoints, or of a condition that somebody else wrote."""
    if obj["kind"] == ENDPOINT_SLICE.kind:
        return (obj["metadata"].get("labels") or {}).get(SERVICE_NAME) == remote.service[1]
    found = condition(obj, AVAILABLE) if obj["kind"] == API_SERVICE.kind else None
    return found is None or (found.get("status"), found.get("reason"), found.get("message")) != verdict
