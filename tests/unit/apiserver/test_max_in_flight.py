"""Seats and the line for them."""

from __future__ import annotations

import asyncio

import pytest

from kubetree.api.errors import TooManyRequests
from kubetree.apiserver.middleware.max_in_flight import Seats


async def test_the_next_in_line_gets_the_seat_that_is_given_back() -> None:
    seats = Seats(1, 2)
    await seats.take()
    order: list[str] = []

    async def sit(name: str) -> None:
        await seats.take()
        order.append(name)
        seats.give()

    async with asyncio.TaskGroup() as group:
        for name in "ab":
            group.create_task(sit(name))
        await asyncio.sleep(0)
        assert order == []
        with pytest.raises(TooManyRequests):
            await seats.take()
        seats.give()
    assert order == ["a", "b"]
    await seats.take()


async def test_who_leaves_the_line_leaves_no_seat_taken() -> None:
    seats = Seats(1, 5)
    await seats.take()
    waiting = asyncio.ensure_future(seats.take())
    await asyncio.sleep(0)
    waiting.cancel()
    granted = asyncio.ensure_future(seats.take())
    await asyncio.sleep(0)
    seats.give()
    granted.cancel()  # in the very turn in which it was granted
    await asyncio.gather(waiting, granted, return_exceptions=True)
    async with asyncio.timeout(1):
        await seats.take()
