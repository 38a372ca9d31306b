"""Watchers are told together, and a turn of many is followed by a pause in which more gathers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from kubetree.apiserver.cache.turns import MANY, Turns


async def test_callbacks_of_one_moment_run_in_one_turn_in_order() -> None:
    turns, ran = Turns(), list[int]()
    for n in range(3):
        turns.add(lambda n=n: ran.append(n))  # type: ignore[misc]
    assert ran == [], "never inside the caller: the cache is in the middle of a change"
    await asyncio.sleep(0)
    assert ran == [0, 1, 2]


async def test_a_callback_may_ask_to_be_called_again() -> None:
    turns, ran = Turns(), list[str]()
    turns.add(lambda: (ran.append("first"), turns.add(lambda: ran.append("second")))[0])
    for _ in range(4):
        await asyncio.sleep(0)
    assert ran == ["first", "second"]


async def later(turns: Turns, callbacks: int) -> Callable[[], list[str]]:
    """Runs a turn of that many callbacks, which seems to take 20 ms, then adds one more; gives what has run by then."""
    ran: list[str] = []
    for _ in range(callbacks):
        turns.add(lambda: ran.append("turn"))
    await asyncio.sleep(0)
    turns.add(lambda: ran.append("next"))
    for _ in range(5):
        await asyncio.sleep(0)
    return lambda: ran[callbacks:]


async def test_after_a_turn_of_many_there_is_a_pause_as_long_as_it() -> None:
    times = iter((0.0, 0.0, *[0.001] * MANY, 0.02))
    ran = await later(Turns(lambda: next(times, 1.0)), MANY)
    assert ran() == []
    await asyncio.sleep(0.1)
    assert ran() == ["next"]


async def test_writers_wait_for_a_crowd_and_for_nobody_else() -> None:
    turns, ran = Turns(), list[str]()
    turns.add(lambda: ran.append("watcher"))
    assert not turns.crowded
    for _ in range(MANY - 1):
        turns.add(lambda: ran.append("watcher"))
    assert turns.crowded
    async with asyncio.timeout(30):
        await turns.over()
    assert len(ran) == MANY and not turns.crowded


async def test_a_writer_that_gives_up_does_not_disturb_the_turn() -> None:
    turns, ran = Turns(), list[str]()

    async def write() -> None:
        for _ in range(MANY):
            turns.add(lambda: ran.append("watcher"))
        await turns.over()

    writers = [asyncio.ensure_future(write()) for _ in range(2)]
    asyncio.get_running_loop().call_soon(writers[0].cancel)
    async with asyncio.timeout(30):
        await asyncio.wait(writers)
        await turns.over()
    assert writers[0].cancelled() and len(ran) == 2 * MANY


async def test_the_pause_ends_when_all_who_wrote_lately_write_again() -> None:
    turns, ran = Turns(lambda: 0.0), list[str]()
    turns._clock = iter(range(10_000)).__next__  # a turn seems to take a long time, so that its pause does

    def event() -> None:
        for _ in range(MANY):
            turns.add(lambda: ran.append("told"))

    async with asyncio.timeout(30):
        for _ in range(2):
            event()
            await asyncio.gather(turns.over(), turns.over())
        event()
        first = asyncio.ensure_future(turns.over())
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(ran) == 2 * MANY, "one of the two is still missing"
        turns.writing = 1
        second = asyncio.ensure_future(turns.over())
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(ran) == 2 * MANY, "both are there, but a third is about to be"
        turns.writing = 0
        await asyncio.gather(first, second, turns.over())
    assert len(ran) == 3 * MANY


async def test_a_long_turn_lets_others_run_between_its_steps() -> None:
    seconds = iter(range(10_000))
    turns, ran = Turns(lambda: float(next(seconds))), list[str]()

    def work() -> Iterator[None]:
        for _ in range(3):
            ran.append("step")
            yield

    turns.add(work)
    for _ in range(3):
        await asyncio.sleep(0)
        ran.append("other")
    assert ran == ["step", "other"] * 3


async def test_a_heavy_watcher_counts_for_many() -> None:
    turns = Turns()
    turns.add(lambda: None, MANY)
    assert turns.crowded


async def test_after_a_turn_of_few_there_is_none() -> None:
    ran = await later(Turns(), MANY - 1)
    assert ran() == ["next"]
