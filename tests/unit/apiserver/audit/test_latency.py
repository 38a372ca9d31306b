"""What a record says of the time that a request took, and of requests that come while the server starts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import web

from kubetree.apiserver.audit.build import Auditing
from kubetree.apiserver.audit.policy import Policy, parse_policy
from kubetree.apiserver.audit.sinks import Counting, Losses
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.middleware.audit import begin
from kubetree.apiserver.wire.request_info import parse

Event = dict[str, Any]
POLICY = b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]"


class Kept:
    def __init__(self) -> None:
        self.events: list[Event] = []

    async def process(self, events: Sequence[Event]) -> bool:
        self.events += events
        return True

    async def close(self) -> None:
        return None


def annotations_of(seconds: float, waits: dict[str, float], *, ready: bool = True, agent: str = "kubectl") -> dict[str, str]:
    """Of a request that took so long."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments: Iterator[datetime] = iter([start, start + timedelta(seconds=seconds), start + timedelta(seconds=seconds)])
    kept = Kept()
    auditing = Auditing(Policy.of(parse_policy(POLICY)), Counting(kept), lambda: next(moments), Losses(), ready=lambda: ready)
    http = cast(web.BaseRequest, SimpleNamespace(raw_path="/api/v1/pods", remote="127.0.0.1", protocol=None))
    ctx = RequestContext(parse("GET", "/api/v1/pods", {}), "GET", "/api/v1/pods", {}, {"User-Agent": agent}, http, "id", waits=waits)
    record = begin(ctx, auditing)
    assert record is not None
    asyncio.run(record.completed(200, long_running=False))
    found: dict[str, str] = kept.events[-1].get("annotations", {})
    return found


def test_slow_requests_say_where_their_time_went() -> None:
    assert annotations_of(0.4, {"mutating-webhook": 0.3}) == {}
    assert annotations_of(1.5, {"mutating-webhook": 0.9, "apf-queue-wait": 0.25}) == {
        "apiserver.latency.k8s.io/apf-queue-wait": "250ms",
        "apiserver.latency.k8s.io/mutating-webhook": "900ms",
        "apiserver.latency.k8s.io/total": "1.5s",
    }


def test_requests_that_come_early_are_marked_but_for_probes() -> None:
    assert annotations_of(0.1, {}, ready=False) == {"apiserver.k8s.io/startup": "early=true self=false loopback=true"}
    assert annotations_of(0.1, {}, ready=False, agent="kube-probe/1.36") == {}
