"""How long requests may take: one that takes too long gets 504, whoever else is under way; one that is cancelled otherwise does not."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubetree.api.errors import Timeout
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.middleware.timeout import Deadlines, limit_time
from kubetree.apiserver.wire.request_info import read


def context(target: str) -> RequestContext:
    found = read("GET", target)
    return RequestContext(found.info, "GET", found.path, found.query, {}, cast(Any, None), "")


async def slow(ctx: RequestContext) -> Any:
    await asyncio.sleep(float(ctx.first("takes", "0")))
    return SimpleNamespace(status=200)


async def test_what_takes_too_long_is_ended_and_others_go_on() -> None:
    handle = limit_time(Deadlines(0.4))(slow)

    async def ask(seconds: float) -> str:
        try:
            await handle(context(f"/api/v1/pods?takes={seconds}"))
        except Timeout:
            return "timeout"
        return "answered"

    async with asyncio.timeout(30):
        assert await asyncio.gather(ask(60), ask(0), ask(0.01), ask(60), ask(0.02)) == [
            "timeout",
            "answered",
            "answered",
            "timeout",
            "answered",
        ]
        assert await ask(0) == "answered"


async def test_a_shorter_time_may_be_asked_for() -> None:
    with pytest.raises(Timeout):
        async with asyncio.timeout(30):
            await limit_time(Deadlines(60))(slow)(context("/api/v1/pods?takes=60&timeout=20ms"))


async def test_watches_have_their_own_time() -> None:
    async with asyncio.timeout(30):
        assert (await limit_time(Deadlines(0.02))(slow)(context("/api/v1/pods?takes=0.2&watch=1"))).status == 200


async def test_a_request_cancelled_otherwise_stays_cancelled() -> None:
    running = asyncio.ensure_future(limit_time(Deadlines(60))(slow)(context("/api/v1/pods?takes=60")))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_what_a_request_has_left_is_known_in_its_task() -> None:
    deadlines, left = Deadlines(60), []

    async def look(ctx: RequestContext) -> Any:
        left.append(deadlines.left())
        return SimpleNamespace(status=200)

    handle = limit_time(deadlines)(look)
    for query in ("", "?timeout=5s", "?timeout=1h", "?watch=1"):
        await handle(context(f"/api/v1/pods{query}"))
    assert [round(seconds, 1) for seconds in left[:3]] == [60, 5, 60]
    assert left[3] == deadlines.left() == math.inf
