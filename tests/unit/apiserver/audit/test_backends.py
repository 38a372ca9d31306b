"""What becomes of audit events: files and their rotation, batches, truncation, the legacy line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kubetree.apiserver.audit.batching import Batching, BatchLimits, Throttle
from kubetree.apiserver.audit.legacy_format import event_line
from kubetree.apiserver.audit.log_file import LogBackend, LogFile
from kubetree.apiserver.audit.sinks import Event, Losses, Tolerant, Truncating

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class Recorder:
    def __init__(self, kept: bool = True) -> None:
        self.batches: list[list[Event]] = []
        self.kept, self.closed = kept, False

    async def process(self, events: Sequence[Event]) -> bool:
        self.batches.append(list(events))
        return self.kept

    async def close(self) -> None:
        self.closed = True


def event(**fields: Any) -> Event:
    return {
        "level": "Request",
        "auditID": "a",
        "stage": "ResponseComplete",
        "requestURI": "/x",
        "verb": "get",
        "user": {"username": "tim", "groups": ["g1", "g2"]},
        "requestReceivedTimestamp": "2026-01-02T03:04:05.120000Z",
        **fields,
    }


async def test_a_line_an_event_in_a_file_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "audit.log"
    log = LogBackend(LogFile(path, Clock()), Losses())
    assert await log.process([event(), event(auditID="b")])
    assert [json.loads(line)["auditID"] for line in path.read_text().splitlines()] == ["a", "b"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_full_file_is_put_aside_and_old_ones_go(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "audit.log", Clock(), max_size=1, max_backups=2, compress=True)
    for letter in b"abcde":
        file.write(bytes([letter]) * 700_000)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["audit-2026-01-02T03-04-10.000.log.gz", "audit-2026-01-02T03-04-12.000.log.gz", "audit.log"]
    assert (tmp_path / "audit.log").read_bytes() == b"e" * 700_000


def test_a_file_goes_on_where_it_ended_and_old_files_age(tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_bytes(b"x" * 1_000_000)
    (tmp_path / "audit-2025-01-01T00-00-00.000.log").touch()
    (tmp_path / "audit-notes.log").touch()
    LogFile(tmp_path / "audit.log", Clock(), max_size=1, max_age=30).write(b"y" * 100_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit-2026-01-02T03-04-06.000.log", "audit-notes.log", "audit.log"]


async def test_what_cannot_be_written_fails_no_request() -> None:
    losses = Losses()
    log = LogBackend(LogFile(Path("/dev/full"), Clock()), losses)
    assert not await log.process([event()])
    assert await Tolerant(log).process([event()])
    assert losses.by_plugin == {"log": 2}


async def test_large_events_lose_their_objects_and_larger_ones_are_lost() -> None:
    inner, losses = Recorder(), Losses()
    truncating = Truncating(inner, 500, 600, losses)
    small, large = event(), event(requestObject={"data": "x" * 1000})
    await truncating.process([small, large, event(requestURI="/" + "x" * 1000), small])
    sent = [e for batch in inner.batches for e in batch]
    assert [len(batch) for batch in inner.batches] == [2, 1]
    assert "requestObject" not in sent[1] and sent[1]["annotations"] == {"audit.k8s.io/truncated": "true"}
    assert "requestObject" in large and losses.by_plugin == {"truncate": 1}


async def test_batches_are_full_or_old_and_the_rest_goes_at_the_end() -> None:
    inner, losses = Recorder(), Losses()
    async with asyncio.TaskGroup() as tasks:
        batching = Batching(inner, BatchLimits(5, 2, 60.0), losses, tasks, together=False)
        assert await batching.process([event(auditID=str(i)) for i in range(7)])
        await batching.close()
        assert await batching.process([event()])
    assert [[e["auditID"] for e in batch] for batch in inner.batches] == [["0", "1"], ["2", "3"], ["4"]]
    assert inner.closed and losses.by_plugin == {"buffered": 3}


def test_the_throttle_lets_bursts_pass_and_then_the_rate() -> None:
    now = 0.0
    throttle = Throttle(10.0, 2, lambda: now)
    assert [throttle.delay() for _ in range(4)] == [0.0, 0.0, 0.1, 0.2]


def test_the_legacy_line() -> None:
    line = event_line(event(sourceIPs=["1.2.3.4"], userAgent="kubectl", impersonatedUser={"username": "tom"}, responseStatus={"code": 200}))
    assert line == (
        '2026-01-02T03:04:05.12Z AUDIT: id="a" stage="ResponseComplete" ip="1.2.3.4" method="get" user="tim" groups="\\"g1\\",\\"g2\\"" '
        'as="tom" asgroups="<lookup>" user-agent="kubectl" namespace="<none>" uri="/x" response="200"'
    )
