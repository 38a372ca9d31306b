"""Logs in CRI's form: tails, options, following across a rotation."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kubetree.kubelet.server.log_files import parse, tail_offset, tail_text
from kubetree.kubelet.server.log_stream import LogOptions, read_log
from kubetree.kubelet.server.server import Refused, container_to_read, log_options, stream_options

LINES = [
    "2026-01-01T00:00:01.000000001Z stdout F one",
    "2026-01-01T00:00:02.5Z stderr F two",
    "2026-01-01T00:00:03.123456789+00:00 stdout P thr",
    "2026-01-01T00:00:03.2Z stdout F ee",
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "0.log"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


async def read(path: Path, options: LogOptions) -> str:
    return b"".join([piece async for piece in read_log(path, options, lambda: False)]).decode()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (LogOptions(), "one\ntwo\nthree\n"),
        (LogOptions(tail=2), "three\n"),
        (LogOptions(tail=0), ""),
        (LogOptions(tail=100), "one\ntwo\nthree\n"),
        (LogOptions(limit=5), "one\nt"),
        (LogOptions(stream="Stderr"), "two\n"),
        (LogOptions(since=datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)), "two\nthree\n"),
        (LogOptions(timestamps=True, tail=3), "2026-01-01T00:00:02.5Z two\n2026-01-01T00:00:03.123456789+00:00 three\n"),
    ],
)
async def test_options(log: Path, options: LogOptions, text: str) -> None:
    assert await read(log, options) == text


async def test_following_goes_on_in_the_new_file_after_a_rotation(log: Path) -> None:
    alive = True
    seen: list[bytes] = []

    async def follow() -> None:
        async for piece in read_log(log, LogOptions(follow=True), lambda: alive):
            seen.append(piece)

    task = asyncio.create_task(follow())
    async with asyncio.timeout(30):
        while b"three\n" not in b"".join(seen):
            await asyncio.sleep(0.02)
    log.rename(log.with_suffix(".old"))
    log.write_text("2026-01-01T00:00:09Z stdout F after\n")
    async with asyncio.timeout(30):
        while b"after\n" not in b"".join(seen):
            await asyncio.sleep(0.02)
    alive = False
    async with asyncio.timeout(30):
        await task
    assert b"".join(seen) == b"one\ntwo\nthree\nafter\n"


def test_tails(log: Path) -> None:
    assert tail_offset(log, 1) == sum(len(line) + 1 for line in LINES[:3])
    assert tail_text(log, 80, 5) == "hree\n"
    assert tail_text(log.with_name("none"), 80, 5) == ""
    assert parse(b"junk\n") is None


def test_the_container_that_is_read() -> None:
    status = {
        "containerStatuses": [
            {"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff"}}},
            {"name": "b", "state": {"running": {}}, "containerID": "x"},
        ]
    }
    assert container_to_read(status, "p", "b", previous=False) == "x"
    for container, previous, text in (
        ("a", False, 'container "a" in pod "p" is waiting to start: trying and failing to pull image'),
        ("b", True, 'previous terminated container "b" in pod "p" not found'),
        ("c", False, 'container "c" in pod "p" is not available'),
    ):
        with pytest.raises(Refused) as refused:
            container_to_read(status, "p", container, previous=previous)
        assert refused.value.text == text


def test_queries() -> None:
    assert log_options({"tailLines": ["3"], "follow": ["true"]}) == LogOptions(tail=3, follow=True)
    with pytest.raises(Refused):
        log_options({"tailLines": ["x"]})
    assert stream_options({"input": ["1"], "output": ["1"], "tty": ["1"], "error": ["1"]}).stderr is False
    with pytest.raises(Refused, match="at least 1 of"):
        stream_options({})
