"""The queues of one priority level: seats in use, and fairly queued requests that wait for some. No I/O; the clock is given.

Follows apiserver/pkg/util/flowcontrol/fairqueuing/queueset, whose doc.go explains the virtual time: R counts the seat-seconds that each
queue with work had to get so far; a queue's next request is dispatched when its virtual finish is the earliest.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable

from kubetree.apiserver.flow_control.shares import Demand

_GUESSED_SECONDS = 0.003
"""How long a request is thought to take until it is known."""
UNLIMITED = -1

QUEUE_FULL, TIME_OUT, LIMIT = "queue-full", "time-out", "concurrency-limit"


class Rejected(Exception):
    """The request may not be worked on now. `reason` as upstream's metrics name it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def flow_hash(schema: str, flow: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{schema}\0{flow}".encode()).digest()[:8], "little")


def dealt_hand(value: int, deck: int, hand: int) -> tuple[int, ...]:
    """`hand` different queues of `deck`, dealt by the hash value: two flows seldom share all of theirs."""
    cards: list[int] = []
    for left in range(deck, deck - hand, -1):
        value, card = divmod(value, left)
        for earlier in sorted(cards):
            if card >= earlier:
                card += 1
        cards.append(card)
    return tuple(cards)


class Queue:
    __slots__ = ("executing", "next_start", "seats_in_use", "waiting", "waiting_seats")

    def __init__(self) -> None:
        self.waiting: deque[Ticket] = deque()
        self.waiting_seats = self.seats_in_use = self.executing = 0
        self.next_start = 0.0

    @property
    def active(self) -> bool:
        return bool(self.waiting) or self.executing > 0


def _load(queue: Queue) -> int:
    return queue.waiting_seats + queue.seats_in_use


class Ticket:
    """A request that waits or is worked on. `seats` while it runs, `work` in seat-seconds as far as it can be guessed."""

    __slots__ = ("arrived", "flow", "line", "lingering", "queue", "schema", "seats", "started", "turn", "work")

    def __init__(self, seats: int, lingering: float, schema: str, flow: str) -> None:
        self.seats, self.lingering, self.work = seats, lingering, seats * (_GUESSED_SECONDS + lingering)
        self.schema, self.flow = schema, flow
        self.queue: Queue | None = None
        self.turn: asyncio.Future[None] | None = None
        self.line = 0
        """How long its queue was with it; 0: it was in none."""
        self.arrived = self.started = 0.0


class QueueSet:
    """`limit` seats (UNLIMITED for the exempt level); `count` queues, 0 to refuse at once what has no seat."""

    def __init__(self, limit: int, count: int, hand: int, length: int, clock: Callable[[], float]) -> None:
        self._clock, self._queues, self._robin = clock, [Queue() for _ in range(count)], 0
        self.limit, self._hand, self._length = limit, hand, length
        self.seats_in_use = self.executing = self.waiting = self.waiting_seats = 0
        self.dispatched = self.rejected = self.timed_out = self.cancelled = 0
        self._active, self._progress, self._at = 0, 0.0, clock()
        self.demand = Demand(self._at)

    @property
    def queues(self) -> list[Queue]:
        return self._queues

    @property
    def progress(self) -> float:
        """Virtual time: seat-seconds that each queue with work had to get so far."""
        return self._progress

    @property
    def at(self) -> float:
        """When a request last came or went, by the clock."""
        return self._at

    def configure(self, limit: int, count: int, hand: int, length: int) -> None:
        """More queues come at once; those that are too many go as soon as they are empty."""
        self._advance()
        self._queues += [Queue() for _ in range(count - len(self._queues))]
        while len(self._queues) > count and not self._queues[-1].active:
            self._queues.pop()
        self.limit, self._hand, self._length = limit, hand, length
        self._dispatch()

    def hand_of(self, value: int) -> tuple[int, ...]:
        return dealt_hand(value, len(self._queues), min(self._hand, len(self._queues))) if self._queues else ()

    def try_enter(self, ticket: Ticket, hand: tuple[int, ...]) -> bool:
        """Takes the seats if nobody waits for them and there are enough."""
        if self.waiting or not self._fits(ticket.seats):
            return False
        self._advance()
        if self._queues:
            queue = ticket.queue = self._queue_of(hand)
            if queue.next_start < self._progress:
                queue.next_start = self._progress
            self._active += not queue.active
        self._take(ticket)
        return True

    def take_one(self) -> None:
        """A seat of the exempt level, which has no end of them and no queues."""
        self._at = now = self._clock()
        self.executing += 1
        self.dispatched += 1
        self.seats_in_use += 1
        self.demand.set(self.seats_in_use, now)

    def give_one(self) -> None:
        self._at = now = self._clock()
        self.executing -= 1
        self.seats_in_use -= 1
        self.demand.set(self.seats_in_use, now)

    def _queue_of(self, hand: tuple[int, ...]) -> Queue:
        """The one with the least to do."""
        return min([self._queues[i % len(self._queues)] for i in hand], key=_load)

    async def enter(self, ticket: Ticket, hand: tuple[int, ...], longest: float) -> None:
        """Waits in line for up to `longest` seconds. Raises Rejected."""
        if not self._queues:
            self.rejected += 1
            raise Rejected(LIMIT)
        self._advance()
        queue = self._queue_of(hand)
        if len(queue.waiting) >= self._length:
            self.rejected += 1
            raise Rejected(QUEUE_FULL)
        turn = asyncio.get_running_loop().create_future()
        ticket.queue, ticket.arrived, ticket.turn = queue, self._progress, turn
        self._active += not queue.active
        queue.waiting.append(ticket)
        ticket.line = len(queue.waiting)
        queue.waiting_seats += ticket.seats
        self.waiting += 1
        self.waiting_seats += ticket.seats
        self._bound(queue)
        self._dispatch()
        self._note()
        timer = asyncio.get_running_loop().call_later(longest, self._give_up, ticket)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(ticket)
            elif self._drop(ticket):
                self.cancelled += 1
            raise
        finally:
            timer.cancel()

    def leave(self, ticket: Ticket) -> None:
        """The request has been answered; its seats are free, after the time that its watchers take."""
        self._advance()
        queue = ticket.queue
        self.executing -= 1
        if queue is not None:
            queue.executing -= 1
            queue.next_start -= ticket.seats * (_GUESSED_SECONDS - (self._at - ticket.started))
            self._bound(queue)
            self._active -= not queue.active
        if ticket.lingering > 0:
            asyncio.get_running_loop().call_later(ticket.lingering, self._free, ticket)
        else:
            self._release(ticket)

    # -- inside

    def _fits(self, seats: int) -> bool:
        if self.limit == UNLIMITED:
            return True
        if seats > self.limit:
            return self.executing == 0
        return self.seats_in_use + seats <= self.limit

    def _take(self, ticket: Ticket) -> None:
        ticket.started = self._at
        self.executing += 1
        self.dispatched += 1
        self.seats_in_use += ticket.seats
        queue = ticket.queue
        if queue is not None:
            queue.executing += 1
            queue.seats_in_use += ticket.seats
            queue.next_start += ticket.work
        self._note()

    def _free(self, ticket: Ticket) -> None:
        self._advance()
        self._release(ticket)

    def _release(self, ticket: Ticket) -> None:
        self.seats_in_use -= ticket.seats
        if ticket.queue is not None:
            ticket.queue.seats_in_use -= ticket.seats
        self._note()
        if self.waiting:
            self._dispatch()

    def _note(self) -> None:
        self.demand.set(self.seats_in_use + self.waiting_seats, self._at)

    def _advance(self) -> None:
        """Virtual time goes as fast as a queue with work gets seats."""
        now = self._clock()
        passed, self._at = now - self._at, now
        if self._active and passed > 0:
            self._progress += passed * min(self.seats_in_use + self.waiting_seats, self.limit) / self._active

    def _bound(self, queue: Queue) -> None:
        """A queue does not save up what it could not use: nothing is dispatched before it came."""
        if queue.waiting and queue.next_start < queue.waiting[0].arrived:
            queue.next_start = queue.waiting[0].arrived

    def _dispatch(self) -> None:
        while self.waiting:
            queue = self._next()
            if not self._fits(queue.waiting[0].seats):
                return
            ticket = queue.waiting.popleft()
            self._no_longer_waits(ticket, queue)
            self._take(ticket)
            self._bound(queue)
            assert ticket.turn is not None
            if ticket.turn.done():
                self.leave(ticket)
            else:
                ticket.turn.set_result(None)

    def _next(self) -> Queue:
        """The one whose first request would be finished first; among equals they take turns."""
        best, finish, count, at = None, 0.0, len(self._queues), self._robin
        for step in range(1, count + 1):
            index = (self._robin + step) % count
            queue = self._queues[index]
            if queue.waiting:
                end = queue.next_start + queue.waiting[0].work
                if best is None or end < finish:
                    best, finish, at = queue, end, index
        assert best is not None
        self._robin = at
        return best

    def _no_longer_waits(self, ticket: Ticket, queue: Queue) -> None:
        queue.waiting_seats -= ticket.seats
        self.waiting -= 1
        self.waiting_seats -= ticket.seats

    def _drop(self, ticket: Ticket) -> bool:
        """Takes a request out of its queue; False when it is there no longer."""
        queue = ticket.queue
        if queue is None or ticket not in queue.waiting:
            return False
        self._advance()
        queue.waiting.remove(ticket)
        self._no_longer_waits(ticket, queue)
        self._active -= not queue.active
        self._bound(queue)
        self.rejected += 1
        self._note()
        self._dispatch()
        return True

    def _give_up(self, ticket: Ticket) -> None:
        if ticket.turn is not None and not ticket.turn.done() and self._drop(ticket):
            self.timed_out += 1
            ticket.turn.set_exception(Rejected(TIME_OUT))
