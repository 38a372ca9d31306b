"""Work beside requests goes on after failures."""

from __future__ import annotations

import asyncio
import logging

import pytest

from kubetree.apiserver.background import kept_running


async def test_work_that_fails_begins_anew_ever_later(caplog: pytest.LogCaptureFixture) -> None:
    pauses: list[float] = []

    async def work() -> None:
        if len(pauses) < 8:
            raise ValueError("poison")

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    with caplog.at_level(logging.ERROR):
        await kept_running("the work", work, sleep)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert "the work failed" in caplog.text and "poison" in caplog.text


async def forever() -> None:
    await asyncio.Event().wait()


async def test_an_end_from_outside_ends_it() -> None:
    task = asyncio.create_task(kept_running("the work", forever))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
