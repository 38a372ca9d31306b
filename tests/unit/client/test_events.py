"""Events: one that happens again counts up, and none is lost while the server is away for a moment."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubetree.api import errors
from kubetree.client import EventRecorder, events

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "d", "uid": "u"}}


class Server:
    """Takes events; `away` is how many requests it fails first."""

    def __init__(self, away: int = 0) -> None:
        self.away, self.written = away, dict[str, dict[str, Any]]()

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise errors.ServiceUnavailable("away")

    async def create(self, kind: object, obj: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        self.written[obj["metadata"]["name"]] = dict(obj)
        return self.written[obj["metadata"]["name"]]

    async def patch(self, kind: object, name: str, patch: dict[str, Any], **_: object) -> dict[str, Any]:
        self._answer()
        if name not in self.written:
            raise errors.NotFound("gone")
        self.written[name] |= patch
        return self.written[name]


def recorder(server: Server) -> EventRecorder:
    return EventRecorder(server, "tester", now=lambda: datetime(2026, 1, 1, tzinfo=UTC))  # type: ignore[arg-type]


async def report(recorder: EventRecorder, server: Server, count: int, message: str = "said") -> None:
    """Reports one after the other, as the running recorder would write them."""
    for _ in range(count):
        recorder.event(POD, "Normal", "Reason", message)
        await recorder._write(recorder._aggregated(recorder._queue.popleft()))


async def test_the_same_again_counts_up() -> None:
    server = Server()
    await report(recorder(server), server, 3)
    assert [(event["count"], event["message"]) for event in server.written.values()] == [(3, "said")]


async def test_an_event_that_expired_at_the_server_is_written_anew() -> None:
    server = Server()
    some = recorder(server)
    await report(some, server, 1)
    server.written.clear()
    await report(some, server, 1)
    assert len(server.written) == 1


async def test_a_server_that_is_away_for_a_moment_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "RETRY", 0)
    server = Server(away=3)
    await report(recorder(server), server, 1)
    assert [event["message"] for event in server.written.values()] == ["said"]


async def test_many_different_messages_become_one_event() -> None:
    server = Server()
    some = recorder(server)
    for number in range(events.AGGREGATE_AFTER + 5):
        await report(some, server, 1, f"message {number}")
    combined = [event for event in server.written.values() if event["message"].startswith("(combined from similar events): message")]
    assert [event["count"] for event in combined] == [6]
