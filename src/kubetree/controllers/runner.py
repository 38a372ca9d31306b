"""Runs duties: each has a queue of keys, some workers, and a pure reconciler whose plans are applied here and nowhere else.

A key is reconciled again only when the caches show what its last plan wrote, so no duty keeps expectations: what it sees includes
its own doing. Whatever fails is tried again with the queue's back-off; a Conflict is the usual case and not worth a word.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.client import Client, EventRecorder, QueueClosed, WorkQueue
from kubetree.client.clock import Clock, SystemClock
from kubetree.controllers.applier import Applier, Write
from kubetree.controllers.credentials import Credentials
from kubetree.controllers.discovery import discover, is_builtin
from kubetree.controllers.informers import SharedInformers
from kubetree.controllers.metrics import QueueMetrics
from kubetree.controllers.plan import Outcome, Plan
from kubetree.controllers.snapshot import IndexFunction, KindId, Snapshot, kind_id

log = logging.getLogger(__name__)

Object = dict[str, Any]
Key = tuple[str, ...]
"""Usually (namespace, name)."""
KeyFunction = Callable[[Object, Snapshot], Iterable[Key]]
"""The keys to reconcile when an object changed; asked of its old and of its new form."""

SameFunction = Callable[[Object, Object], bool]
"""Whether an update, given the old and the new object, changes nothing that the duty looks at."""

EVERYTHING: Key = ("", "")
"""The one key of a duty that looks at the whole cluster at a time."""

DISCOVERY_KINDS = (kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"), kind("apiregistration.k8s.io/v1", "APIService"))
DISCOVERY_PERIOD, DISCOVERY_DELAY = 30.0, 0.2

UNAVAILABLE = 1.0
"""Seconds between tries while the server does not answer: no back-off, or a key would sleep long after it is back."""

CATCH_UP = 30.0
"""Seconds to wait for a cache to show our own writes before trying anyway."""


def own_key(obj: Object, _: Snapshot) -> tuple[Key]:
    metadata = obj["metadata"]
    return ((metadata.get("namespace", ""), metadata["name"]),)


def everything(_: Object, __: Snapshot) -> tuple[Key]:
    return (EVERYTHING,)


def nothing(_: Object, __: Snapshot) -> tuple[Key, ...]:
    """For a kind that a duty reads without being woken by it."""
    return ()


@dataclass(frozen=True, slots=True)
class Everywhere:
    """What a duty wants to know of every kind that is served and that `wants` accepts, also of kinds added later.

    `adds` False: new objects wake nobody.
    """

    wants: Callable[[Kind], bool]
    keys: KeyFunction
    same: SameFunction
    adds: bool = True


@dataclass(frozen=True, slots=True)
class Duty:
    """One controller. `name` is upstream's, as `--controllers` spells it; `component` the source of its events.

    `account` is the service account in kube-system that it acts as, "" for the process's own user.
    `start` lists keys to reconcile once at the start although nothing changed; `same` tells which updates of a kind wake nobody.
    """

    name: str
    component: str
    watches: Mapping[Kind, KeyFunction]
    reconcile: Callable[[Snapshot, Key, datetime], Plan]
    workers: int = 1
    account: str = ""
    indexes: Mapping[Kind, Mapping[str, IndexFunction]] = field(default_factory=dict)
    same: Mapping[Kind, SameFunction] = field(default_factory=dict)
    start: tuple[Key, ...] = ()
    everywhere: Everywhere | None = None


class Runner:
    """All duties of one process over shared informers. `run` ends when cancelled."""

    def __init__(
        self,
        client: Client,
        duties: Sequence[Duty],
        *,
        clock: Clock | None = None,
        separate_accounts: bool = False,
    ) -> None:
        """`separate_accounts`: each duty writes as its own service account; everything is read as the client's user."""
        self.clock = clock or SystemClock()
        self.informers = SharedInformers(client)
        self._credentials = Credentials(client, self.clock, separate=separate_accounts)
        self._client = client
        self._workers = [DutyWorker(self._credentials.client(duty.account), duty, self.informers, self.clock) for duty in duties]

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.informers.run())
                for worker in self._workers:
                    group.create_task(worker.run())
                if any(worker.duty.everywhere for worker in self._workers):
                    group.create_task(self._follow_discovery())
        finally:
            await self._credentials.close()

    async def _follow_discovery(self) -> None:
        """Follows new kinds as they appear, and no longer those that are gone. A change of a CustomResourceDefinition or an
        APIService is looked at soon, anything else within half a minute."""
        changed = asyncio.Event()
        for name in DISCOVERY_KINDS:
            self.informers.informer(name).on_change(lambda *_: changed.set())
        while True:
            changed.clear()
            try:
                kinds = await discover(self._client)
            except errors.ApiError as error:
                log.warning("discovery: %s", error.message)
            else:
                await self._follow(kinds)
            try:
                async with asyncio.timeout(DISCOVERY_PERIOD):
                    await changed.wait()
                await asyncio.sleep(DISCOVERY_DELAY)
            except TimeoutError:
                continue

    async def _follow(self, kinds: Sequence[Kind]) -> None:
        """Has duties follow all kinds served. They begin when all caches are filled, or without those that take too long."""
        for worker in self._workers:
            worker.follow(kinds)
            if worker.duty.everywhere is not None:
                try:
                    async with asyncio.timeout(CATCH_UP):
                        await self.informers.synced([k for k in kinds if worker.duty.everywhere.wants(k)])
                except TimeoutError:
                    log.warning("%s: begins although not all kinds could be listed", worker.duty.name)
                worker.opened.set()

    def add_all(self, name: str) -> None:
        """Has a duty look at everything again that it is woken by."""
        for worker in self._workers:
            if worker.duty.name == name:
                worker.add_all()

    @property
    def idle(self) -> bool:
        """True when no key waits or is being worked on (delayed keys do not count)."""
        return all(worker.idle for worker in self._workers)


class DutyWorker:
    """One duty at work: its queue, its workers, what each key waits to see."""

    def __init__(self, client: Client, duty: Duty, informers: SharedInformers, clock: Clock) -> None:
        self.duty, self.informers, self.clock = duty, informers, clock
        self.queue: WorkQueue[Key] = WorkQueue(clock.monotonic)
        clock.on_advance(self.queue.release_due)
        self.recorder = EventRecorder(client, duty.component, now=clock.now)
        self._applier = Applier(client, self.recorder)
        self._unseen: dict[Key, list[Write]] = {}
        self._metrics = QueueMetrics(duty.name)
        self._busy = 0
        self._everywhere: dict[KindId, Kind] = {}
        self.opened = asyncio.Event()
        if duty.everywhere is None:
            self.opened.set()
        informers.add_indexes(duty.indexes)
        for row, keys in duty.watches.items():
            informers.informer(row).on_change(self._on_change(keys, duty.same.get(row)))

    @property
    def idle(self) -> bool:
        return self._busy == 0 and len(self.queue) == 0

    def follow(self, kinds: Sequence[Kind]) -> None:
        """Told of all kinds that are served now."""
        everywhere = self.duty.everywhere
        if everywhere is None:
            return
        wanted = {kind_id(k): k for k in kinds if everywhere.wants(k)}
        for identity in [i for i in self._everywhere if i not in wanted]:
            gone = self._everywhere.pop(identity)
            if not is_builtin(gone):
                self.informers.forget(gone)
        for identity, found in wanted.items():
            if identity not in self._everywhere:
                self._everywhere[identity] = found
                self.informers.informer(found, named=False).on_change(
                    self._on_change(everywhere.keys, everywhere.same, adds=everywhere.adds)
                )

    def add(self, key: Key) -> None:
        self._metrics.added()
        self.queue.add(key)

    def add_all(self) -> None:
        for row, keys in self.duty.watches.items():
            for obj in self.informers.informer(row).list():
                for key in keys(obj, self.informers.snapshot):
                    self.add(key)

    async def run(self) -> None:
        await self.informers.synced(self.duty.watches)
        await self.opened.wait()
        for key in self.duty.start:
            self.add(key)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.recorder.run())
                for _ in range(self.duty.workers):
                    group.create_task(self._work())
        finally:
            self.queue.close()

    def _on_change(
        self, keys: KeyFunction, same: SameFunction | None, *, adds: bool = True
    ) -> Callable[[Object | None, Object | None], None]:
        def changed(old: Object | None, new: Object | None) -> None:
            if old is None and not adds:
                return
            if same is not None and old is not None and new is not None and same(old, new):
                return
            for obj in (old, new):
                if obj is not None:
                    for key in keys(obj, self.informers.snapshot):
                        self.add(key)

        return changed

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except QueueClosed:
                return
            self._busy += 1
            try:
                with self._metrics.working(len(self.queue)):
                    await self._once(key)
            except Exception:
                log.exception("%s: %s", self.duty.name, "/".join(key))
                self._retry(key)
            finally:
                self._busy -= 1
                self.queue.done(key)

    async def _once(self, key: Key) -> None:
        """Reconciles a key and applies what was planned."""
        await self._caught_up(key)
        plan = self.duty.reconcile(self.informers.snapshot, key, self.clock.now())
        failures = await self._follow(key, plan)
        if not failures:
            self.queue.forget(key)
            return
        if any(isinstance(error, errors.ServiceUnavailable) for error in failures):
            log.debug("%s: %s: %s", self.duty.name, "/".join(key), failures[0].message)
            self.queue.add_after(key, UNAVAILABLE)
            return
        for error in failures:
            if not isinstance(error, errors.Conflict | errors.NotFound):
                log.warning("%s: %s: %s", self.duty.name, "/".join(key), error.message)
        self._retry(key)

    async def _follow(self, key: Key, plan: Plan) -> list[errors.ApiError]:
        """Applies a plan and what follows from it. Returns the failures that call for another try."""
        failures: list[errors.ApiError] = []
        following: Plan | None = plan
        while following is not None:
            report = await self._applier.apply(following.actions)
            self._unseen.setdefault(key, []).extend(report.writes)
            for again, seconds in report.requeue.items():
                self.queue.add_after(again or key, seconds)
            outcome: Outcome = report.outcome
            if not following.forgive:
                failures.extend(outcome.errors)
            following = following.then(outcome) if following.then is not None else None
        if not self._unseen[key]:
            del self._unseen[key]
        return failures

    async def _caught_up(self, key: Key) -> None:
        """Returns once the caches show what the last plan of the key wrote."""
        writes = self._unseen.pop(key, None)
        if not writes:
            return
        try:
            async with asyncio.timeout(CATCH_UP):
                for write in writes:
                    if self.informers.followed(write.kind):
                        await self._seen(write)
        except TimeoutError:
            log.warning("%s: %s: the cache does not show our own writes after %g s", self.duty.name, "/".join(key), CATCH_UP)

    async def _seen(self, write: Write) -> None:
        if write.resource_version:
            await self.informers.informer(write.kind).wait_for(write.resource_version)
            return

        def deleted(obj: Object | None) -> bool:
            return obj is None or obj["metadata"]["uid"] != write.uid or "deletionTimestamp" in obj["metadata"]

        await self.informers.until(write.kind, (write.namespace, write.name), deleted)

    def _retry(self, key: Key) -> None:
        self._metrics.retried()
        self.queue.retry(key)
