"""Fair queues: seats, order, refusals, patience."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.apiserver.flow_control.queues import LIMIT, QUEUE_FULL, TIME_OUT, UNLIMITED, QueueSet, Rejected, Ticket, dealt_hand, flow_hash


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ticket(seats: int = 1, lingering: float = 0.0) -> Ticket:
    return Ticket(seats, lingering, "schema", "flow")


def entered(queues: QueueSet, found: Ticket) -> Ticket:
    assert queues.try_enter(found, (0,))
    return found


async def waiting(queues: QueueSet, hand: tuple[int, ...], log: list[str], name: str, seats: int = 1) -> Ticket:
    found = ticket(seats)
    await queues.enter(found, hand, 60)
    log.append(name)
    return found


@given(st.integers(0, 2**64 - 1), st.integers(1, 200), st.integers(1, 8))
def test_a_hand_has_different_cards_of_the_deck(value: int, deck: int, hand: int) -> None:
    cards = dealt_hand(value, deck, min(hand, deck))
    assert len(set(cards)) == len(cards) == min(hand, deck)
    assert all(0 <= card < deck for card in cards)


def test_flows_get_hands_of_their_own() -> None:
    hands = {dealt_hand(flow_hash("schema", f"user-{n}"), 128, 6) for n in range(500)}
    assert len(hands) == 500
    assert flow_hash("a", "b") == flow_hash("a", "b") != flow_hash("ab", "")


async def test_seats_are_taken_and_given_back() -> None:
    queues = QueueSet(2, 0, 0, 0, Time())
    first, second, third = ticket(), ticket(), ticket()
    assert queues.try_enter(first, (0,)) and queues.try_enter(second, (0,)) and not queues.try_enter(third, (0,))
    with pytest.raises(Rejected) as refused:
        await queues.enter(third, (), 1)
    assert refused.value.reason == LIMIT
    queues.leave(first)
    assert queues.try_enter(third, (0,))
    assert queues.seats_in_use == 2


async def test_a_wide_request_runs_alone_rather_than_never() -> None:
    queues = QueueSet(2, 4, 2, 10, Time())
    wide, narrow = ticket(5), ticket()
    assert queues.try_enter(wide, (0,))
    assert not queues.try_enter(narrow, (0,))
    queues.leave(wide)
    assert queues.try_enter(narrow, (0,))


def test_the_exempt_level_has_no_limit() -> None:
    queues = QueueSet(UNLIMITED, 0, 0, 0, Time())
    assert all(queues.try_enter(ticket(7), ()) for _ in range(1000))


async def test_one_noisy_flow_does_not_starve_another() -> None:
    clock, log = Time(), list[str]()
    queues = QueueSet(1, 8, 1, 100, clock)
    running = entered(queues, ticket())
    noisy = [asyncio.create_task(waiting(queues, (0,), log, f"noisy-{n}")) for n in range(20)]
    await asyncio.sleep(0)
    clock.now += 1
    waits = [*noisy, asyncio.create_task(waiting(queues, (5,), log, "quiet"))]
    await asyncio.sleep(0)
    queues.leave(running)
    while waits:
        await asyncio.sleep(0)
        clock.now += 0.1
        done = [wait for wait in waits if wait.done()]
        waits = [wait for wait in waits if not wait.done()]
        for wait in done:
            queues.leave(wait.result())
    assert log.index("quiet") <= 1
    assert [name for name in log if name != "quiet"] == [f"noisy-{n}" for n in range(20)]
    assert queues.seats_in_use == queues._active == 0


async def test_a_full_queue_refuses_and_patience_ends() -> None:
    queues = QueueSet(1, 1, 1, 1, asyncio.get_running_loop().time)
    running = entered(queues, ticket())
    async with asyncio.TaskGroup() as tasks:
        impatient = tasks.create_task(refusal(queues, 0.02))
        await asyncio.sleep(0)
        assert await refusal(queues, 1) == QUEUE_FULL
        assert await impatient == TIME_OUT
    assert queues.waiting == queues.waiting_seats == 0 and queues.timed_out == 1
    queues.leave(running)
    assert queues.seats_in_use == 0


async def refusal(queues: QueueSet, patience: float) -> str:
    with pytest.raises(Rejected) as refused:
        await queues.enter(ticket(), (0,), patience)
    return refused.value.reason


async def test_who_goes_away_while_waiting_leaves_nothing() -> None:
    queues, log = QueueSet(1, 4, 2, 10, Time()), list[str]()
    running = entered(queues, ticket())
    gone = asyncio.create_task(waiting(queues, (0, 1), log, "gone"))
    stays = asyncio.create_task(waiting(queues, (0, 1), log, "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    queues.leave(running)
    queues.leave(await stays)
    assert log == ["stays"] and queues.cancelled == 1
    assert queues.seats_in_use == queues.executing == queues.waiting == 0


async def test_the_seats_of_a_write_linger_for_its_watchers() -> None:
    queues = QueueSet(10, 4, 2, 10, asyncio.get_running_loop().time)
    write = entered(queues, ticket(10, 0.01))
    queues.leave(write)
    assert queues.executing == 0 and queues.seats_in_use == 10
    async with asyncio.timeout(30):
        await queues.enter(ticket(), (0,), 5)
    assert queues.seats_in_use == 1


async def test_more_seats_let_those_in_who_wait() -> None:
    queues, log = QueueSet(1, 4, 2, 10, Time()), list[str]()
    assert queues.try_enter(ticket(), (0,))
    tasks = [asyncio.create_task(waiting(queues, (n,), log, str(n))) for n in range(3)]
    await asyncio.sleep(0)
    queues.configure(3, 4, 2, 10)
    await asyncio.sleep(0)
    assert len(log) == 2
    next(task for task in tasks if not task.done()).cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert queues.waiting == 0 and queues.executing == 3
