"""The work queue keeps client-go's promises: no key twice at a time, none lost, back-off that doubles."""

import asyncio

import pytest

from kubetree.client import QueueClosed, WorkQueue


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_key_waits_once_however_often_it_is_added() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for _ in range(3):
        queue.add("a")
    assert await queue.get() == "a"
    assert len(queue) == 0


async def test_a_key_added_while_worked_on_comes_back_after_done() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    assert len(queue) == 0
    queue.done(key)
    assert await queue.get() == "a"


async def test_retry_doubles_until_forget() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock, base=1, maximum=5)
    waits = []
    for _ in range(5):
        queue.retry("a")
        start = clock.now
        while not len(queue):
            clock.now += 0.5
            queue.release_due()
        waits.append(clock.now - start)
        queue.done(await queue.get())
    assert waits == [1, 2, 4, 5, 5]
    queue.forget("a")
    queue.retry("a")
    clock.now += 1
    queue.release_due()
    assert len(queue) == 1
    queue.close()


async def test_the_earlier_of_two_delays_wins_and_the_key_comes_once() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("a", 10)
    queue.add_after("a", 2)
    clock.now = 2
    queue.release_due()
    queue.done(await queue.get())
    clock.now = 20
    queue.release_due()
    assert len(queue) == 0


async def test_a_waiting_worker_wakes_for_a_key_and_for_close() -> None:
    queue: WorkQueue[str] = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await waiting == "a"
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.close()
    with pytest.raises(QueueClosed):
        await waiting


async def test_a_cancelled_waiter_does_not_swallow_a_wake_up() -> None:
    queue: WorkQueue[str] = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "a"
