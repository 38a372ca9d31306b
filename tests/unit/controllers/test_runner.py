from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, cast

import pytest

from fake_client import FakeClient
from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client import Client
from kubetree.controllers import replicasets
from kubetree.controllers.applier import Applier
from kubetree.controllers.plan import NOTHING, Batch, Create, Event, Outcome, Plan, RequeueAfter, Update, plan
from kubetree.controllers.runner import Duty, Key, Runner, own_key
from kubetree.controllers.snapshot import Snapshot

WIDGET, POD, RS = kind("v1", "LimitRange"), kind("v1", "Pod"), kind("apps/v1", "ReplicaSet")


def widget(name: str = "a", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": name, "namespace": "ns"}, "data": data}


def replica_set(count: int) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "rs", "namespace": "ns"},
        "spec": {"replicas": count, "selector": {"matchLabels": {"a": "b"}}, "template": template},
    }


@asynccontextmanager
async def running(client: FakeClient, *duties: Duty) -> AsyncIterator[Runner]:
    runner = Runner(cast(Client, client), duties)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Any) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("delay", [0.0, 0.02])
async def test_a_slow_cache_never_makes_too_many_pods(delay: float) -> None:
    client = FakeClient()
    client.delay = delay
    client.put(RS, replica_set(5))
    async with running(client, replicasets.DUTY):
        await until(lambda: sum(k[1] == "Pod" for k in client.objects) >= 5)
        await asyncio.sleep(10 * delay + 0.05)
    assert sum(verb == "create" and kind_ == "Pod" for verb, kind_, _ in client.requests) == 5


async def test_failures_come_back_with_a_back_off_and_a_bug_stops_nobody_else() -> None:
    client, tries = FakeClient(), []

    def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        tries.append(key[1])
        if key[1] == "bug" and tries.count("bug") < 3:
            raise KeyError("oh")
        return NOTHING

    client.put(WIDGET, widget("bug"))
    client.put(WIDGET, widget("fine"))
    async with running(client, Duty("d", "d", {WIDGET: own_key}, reconcile)):
        await until(lambda: tries.count("bug") == 3)
    assert tries.count("fine") == 1


async def test_a_conflict_is_tried_again_on_fresh_data() -> None:
    client = FakeClient()
    client.put(WIDGET, widget("a", count="0"))
    interfered = []

    def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        obj = snapshot.get(WIDGET, *key)
        assert obj is not None
        if obj["data"].get("done"):
            return NOTHING
        if not interfered:
            interfered.append(1)
            client.put(WIDGET, {**obj, "data": {"count": "by somebody else"}})
        return plan(Update(WIDGET, {**obj, "data": {**obj["data"], "done": "yes"}}))

    async with running(client, Duty("d", "d", {WIDGET: own_key}, reconcile)):
        await until(lambda: "done" in client.objects["v1", "LimitRange", "ns", "a"]["data"])
        stored = client.objects["v1", "LimitRange", "ns", "a"]
    assert stored["data"] == {"count": "by somebody else", "done": "yes"}


async def test_what_follows_sees_how_it_went_and_requeues() -> None:
    client, seen = FakeClient(), []
    client.fails = lambda verb, *_: errors.Forbidden("no") if verb == "create" and not seen else None
    client.put(WIDGET, widget("a"))

    def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        if seen:
            return NOTHING

        def then(outcome: Outcome) -> Plan:
            seen.append([e.message for e in outcome.errors])
            return plan(RequeueAfter(0.01))

        return plan(Create(WIDGET, widget("b")), Create(WIDGET, widget("never")), then=then, forgive=True)

    async with running(client, Duty("d", "d", {WIDGET: own_key}, reconcile)):
        await until(lambda: seen)
    assert seen == [["no"]]
    assert ("create", "LimitRange", "never") not in client.requests


class Recorder:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def event(self, about: dict[str, Any], type_: str, reason: str, message: str) -> None:
        self.told.append((reason, message))


@pytest.mark.parametrize(("allowed", "asked"), [(100, 20), (0, 1), (3, 7), (7, 15)])
async def test_slow_start_stops_after_the_first_failing_group(allowed: int, asked: int) -> None:
    client, recorder = FakeClient(), Recorder()
    made: list[int] = []

    def fails(*_: Any) -> errors.ApiError | None:
        made.append(1)
        return errors.Forbidden("quota") if len(made) > allowed else None

    client.fails = fails
    told = Event({}, "Normal", "Created", "Created: {name}")
    failed = Event({}, "Warning", "Failed", "Error: {error}")
    create = Create(WIDGET, {"metadata": {"generateName": "x-", "namespace": "ns"}}, done=told, failed=failed)
    report = await Applier(cast(Client, client), cast(Any, recorder)).apply((Batch((create,) * 20, slow_start=True),))
    assert len(made) == asked
    assert report.outcome.ok == (allowed >= 20)
    assert sum(reason == "Created" for reason, _ in recorder.told) == min(allowed, 20)
    assert ("Failed", "Error: quota") in recorder.told or allowed >= 20


async def test_workers_share_a_queue_but_never_a_key() -> None:
    client = FakeClient()
    for number in range(20):
        client.put(WIDGET, widget(f"c{number}"))
    working: set[Key] = set()
    most = 0

    def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        nonlocal most
        assert key not in working
        working.add(key)
        most = max(most, len(working))

        def then(_: Outcome) -> Plan:
            working.discard(key)
            return NOTHING

        return plan(Create(WIDGET, {"metadata": {"name": f"x{key[1]}", "namespace": "other"}}), then=then)

    duty = Duty("d", "d", {WIDGET: lambda o, _: own_key(o, _) if o["metadata"]["namespace"] == "ns" else ()}, reconcile, workers=4)
    async with running(client, duty):
        await until(lambda: sum(r[0] == "create" for r in client.requests) >= 20)
    assert most == 4
