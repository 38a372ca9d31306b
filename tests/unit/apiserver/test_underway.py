"""Writes of one key wait for each other's answers, so that none starts from what is about to be old."""

from __future__ import annotations

import asyncio

import pytest

from kubetree.apiserver.underway import Underway
from kubetree.store.protocol import StoreUnavailable, Written


async def test_who_waits_gets_what_was_written() -> None:
    underway, answer = Underway(), asyncio.get_running_loop().create_future()
    assert await underway.settled("a") is None
    write = asyncio.ensure_future(underway.write("a", b"new", answer))
    await asyncio.sleep(0)
    assert "a" in underway and "b" not in underway
    waiting = [asyncio.ensure_future(underway.settled("a")) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert not waiting[1].done(), "one that gives up disturbs nobody"
    answer.set_result(Written(True, 7))
    assert await waiting[1] == (b"new", 7) and (await write).ok
    assert "a" not in underway


@pytest.mark.parametrize("refused", [Written(False, 7), StoreUnavailable("gone")])
async def test_a_refused_write_says_nothing_of_how_things_stand(refused: Written | Exception) -> None:
    underway, answer = Underway(), asyncio.get_running_loop().create_future()
    write = asyncio.ensure_future(underway.write("a", b"new", answer))
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(underway.settled("a"))
    await asyncio.sleep(0)
    if isinstance(refused, Exception):
        answer.set_exception(refused)
    else:
        answer.set_result(refused)
    assert await waiting is None
    await asyncio.gather(write, return_exceptions=True)
    assert "a" not in underway
