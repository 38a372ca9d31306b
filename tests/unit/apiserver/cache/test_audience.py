"""Watchers who are sent the same: what each of them is written, whenever it comes, goes and falls behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubetree.api.errors import Expired
from kubetree.apiserver.cache import audience as audience_module
from kubetree.apiserver.cache.audience import Audience
from kubetree.apiserver.cache.entry import CacheEntry, DecodedObjects
from kubetree.apiserver.cache.event import Event
from kubetree.apiserver.cache.watchers import Watchers
from kubetree.apiserver.cache.window import Window, WindowLimits
from kubetree.apiserver.watch_cache import ADDED

DECODED = DecodedObjects(dict, lambda obj: {})


class Rig:
    """Events by number; the frame of one is its number and a comma."""

    def __init__(self, limits: WindowLimits | None = None) -> None:
        self.watchers = Watchers(Window(limits or WindowLimits()), "/registry/pods/", ())
        self.shown = self.counted = 0

    def happen(self, *revisions: int, folder: str = "a") -> None:
        events = [Event(ADDED, n, CacheEntry(f"/registry/pods/{folder}/{n}", n, b"{}", {}, DECODED), None, 0.0) for n in revisions]
        for event in events:
            self.watchers.window.add(event)
        self.watchers.window.trim(0.0)
        self.watchers.revision = revisions[-1]
        self.watchers.hand_out(events)

    def show(self, event: Event) -> bytes:
        self.shown += 1
        return b"%d," % event.revision

    def sent(self, frames: Sequence[bytes], size: int, watches: int) -> None:
        assert size == sum(map(len, frames))
        self.counted += len(frames) * watches

    @contextmanager
    def audience(self, prefix: str = "") -> Iterator[Audience]:
        with self.watchers.audience(prefix, prefix, None, self.show, self.sent) as audience:
            yield audience


class Watcher:
    """A member as the verbs have it, that can take `room` pieces before it is behind."""

    def __init__(self, audience: Audience, start: int, room: int = 1_000_000) -> None:
        self.audience, self.told, self.room = audience, start, room
        self.got = b""
        self.error: Exception | None = None
        self.joined = False
        self.admitted()

    def write(self, piece: bytes) -> None:
        assert self.room > 0, "written to although it cannot take more"
        self.got += piece
        self.room -= 1
        if not self.room and self.joined:
            self.leave()

    def leave(self) -> None:
        if self.joined:
            self.joined = False
            self.told = self.audience.leave(self)

    def reads(self, room: int = 1_000_000) -> None:
        self.room = room
        if not self.joined:
            self.admitted()

    def admitted(self) -> None:
        if not self.room:
            return
        try:
            for piece, revision in self.audience.since(self.told) if self.told < self.audience.told else ():
                if piece:
                    self.write(piece)
                self.told = revision
                if not self.room:
                    return
        except Expired as error:
            self.failed(error)
            return
        if self.told > self.audience.told:
            self.audience.wait(self)
        else:
            self.joined = True
            self.audience.join(self, self.write)

    def failed(self, error: Exception) -> None:
        self.error = error

    @property
    def numbers(self) -> list[int]:
        return [int(n) for n in self.got.split(b",") if n]


async def turns() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    yield Rig()


async def test_an_event_is_shown_once_for_all(rig: Rig) -> None:
    with rig.audience() as audience:
        watchers = [Watcher(audience, 0) for _ in range(5)]
        rig.happen(1, 2)
        await turns()
        assert [w.numbers for w in watchers] == [[1, 2]] * 5 and rig.shown == 2 and rig.counted == 10


async def test_watchers_of_other_places_cost_nothing(rig: Rig) -> None:
    with rig.audience("/registry/pods/b/") as audience:
        watcher = Watcher(audience, 0)
        rig.happen(1)
        await turns()
        assert watcher.numbers == [] and rig.shown == 0
        assert audience.reached(watcher) == 1, "a bookmark may say that there was nothing"


async def test_who_comes_between_an_event_and_its_turn_is_not_told_twice(rig: Rig) -> None:
    with rig.audience() as audience:
        first = Watcher(audience, 0)
        rig.happen(1)
        knows, knows_not = Watcher(audience, 1), Watcher(audience, 0)
        rig.happen(2)
        await turns()
        await turns()
        assert first.numbers == knows_not.numbers == [1, 2] and knows.numbers == [2]


async def test_who_falls_behind_costs_nothing_and_catches_up(rig: Rig) -> None:
    with rig.audience() as audience:
        slow, fast = Watcher(audience, 0, room=1), Watcher(audience, 0)
        for n in range(1, 6):
            rig.happen(n)
            await turns()
        assert slow.numbers == [1] and fast.numbers == [1, 2, 3, 4, 5]
        slow.reads()
        assert slow.numbers == [1, 2, 3, 4, 5]
        rig.happen(6)
        await turns()
        assert slow.numbers == fast.numbers == [1, 2, 3, 4, 5, 6]


async def test_who_is_behind_for_too_long_is_told_so() -> None:
    rig = Rig(WindowLimits(least=1, most=3))
    with rig.audience() as audience:
        slow, fast = Watcher(audience, 0, room=1), Watcher(audience, 0)
        for n in range(1, 10):
            rig.happen(n)
            await turns()
        slow.reads()
        assert isinstance(slow.error, Expired) and slow.numbers == [1]
        assert fast.error is None and fast.numbers == list(range(1, 10))


async def test_when_the_cache_loses_touch_all_are_told_and_later_ones_start_anew(rig: Rig) -> None:
    with rig.audience() as audience:
        watcher = Watcher(audience, 0)
        rig.happen(1)
        await turns()
        rig.watchers.end_all(Expired("gone"))
        await turns()
        assert isinstance(watcher.error, Expired)
        later = Watcher(audience, 1)
        rig.happen(2)
        await turns()
        assert later.numbers == [2] and later.error is None


async def test_what_cannot_be_shown_ends_them_all_and_nothing_else(rig: Rig) -> None:
    def refuse(_: Event) -> bytes:
        raise ValueError("no such form")

    with rig.watchers.audience("odd", "", None, refuse, rig.sent) as odd, rig.audience() as audience:
        bad, good = Watcher(odd, 0), Watcher(audience, 0)
        rig.happen(1)
        await turns()
        assert isinstance(bad.error, ValueError) and good.numbers == [1]


async def test_nothing_is_left_of_an_audience_that_went(rig: Rig) -> None:
    with rig.audience(), rig.audience():
        assert len(rig.watchers) == 2
    assert len(rig.watchers) == 0


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_everyone_sees_every_event_once_and_in_order(data: st.DataObject) -> None:
    """Whoever comes, goes, falls behind and catches up, with pieces cut small and turns that others run in between."""

    async def story() -> None:
        rig = Rig()
        seconds = iter(range(1_000_000))
        rig.watchers.turns._clock = lambda: float(next(seconds))
        with rig.audience() as audience:
            watchers: list[tuple[int, Watcher]] = []
            revision = 0
            for _ in range(data.draw(st.integers(1, 25))):
                match data.draw(st.sampled_from(("event", "event", "come", "go", "read", "wait"))):
                    case "event":
                        rig.happen(*range(revision + 1, revision + 1 + (count := data.draw(st.integers(1, 3)))))
                        revision += count
                    case "come":
                        start = data.draw(st.integers(0, revision))
                        watchers.append((start, Watcher(audience, start, data.draw(st.integers(1, 5)))))
                    case "go" if watchers:
                        data.draw(st.sampled_from(watchers))[1].leave()
                    case "read" if watchers:
                        data.draw(st.sampled_from(watchers))[1].reads(data.draw(st.integers(1, 5)))
                    case _:
                        await asyncio.sleep(0)
            for _ in range(20):
                await turns()
                for _, watcher in watchers:
                    watcher.reads()
            for start, watcher in watchers:
                assert watcher.numbers == list(range(start + 1, revision + 1))

    piece, audience_module.PIECE = audience_module.PIECE, 2
    step, audience_module.STEP = audience_module.STEP, 1
    try:
        asyncio.run(story())
    finally:
        audience_module.PIECE, audience_module.STEP = piece, step
