"""The supervisor starts components again, outlived by them, and takes over what its predecessor left."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubetree.cluster import pidfile
from kubetree.cluster.components import Component
from kubetree.cluster.layout import Layout
from kubetree.cluster.supervisor import NAME, Supervisor

SLEEPERS = [Component(name, "", lambda layout, settings: ["sleep", "300"]) for name in ("one", "two")]


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(data=tmp_path / "data", run=tmp_path / "run", log=tmp_path / "log")
    layout.log.mkdir()
    yield layout
    for name in (NAME, "one", "two"):
        if (process := pidfile.find(layout.pids, name)) is not None:
            os.kill(process.pid, signal.SIGKILL)


def start(layout: Layout) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            Supervisor(layout, SLEEPERS).run()
        finally:
            os._exit(0)
    return pid


def eventually(check: Callable[[], object]) -> object:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.01)
    raise AssertionError("did not come true")


def running(layout: Layout, name: str) -> pidfile.Process:
    found = eventually(lambda: pidfile.find(layout.pids, name))
    assert isinstance(found, pidfile.Process)
    return found


def test_a_killed_component_comes_back_and_the_others_stay(layout: Layout) -> None:
    supervisor = start(layout)
    one, two = running(layout, "one"), running(layout, "two")
    os.kill(one.pid, signal.SIGKILL)
    eventually(lambda: (found := pidfile.find(layout.pids, "one")) is not None and found.pid != one.pid)
    assert running(layout, "two") == two
    os.kill(supervisor, signal.SIGTERM)
    os.waitpid(supervisor, 0)
    assert not two.alive
    assert not list(layout.pids.iterdir())


def test_components_outlive_a_killed_supervisor_and_the_next_takes_them_over(layout: Layout) -> None:
    first = start(layout)
    one, two = running(layout, "one"), running(layout, "two")
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    assert one.alive and two.alive
    second = start(layout)
    eventually(lambda: (found := pidfile.find(layout.pids, NAME)) is not None and found.pid == second)
    assert (running(layout, "one"), running(layout, "two")) == (one, two)
    os.kill(two.pid, signal.SIGKILL)
    eventually(lambda: (found := pidfile.find(layout.pids, "two")) is not None and found.pid != two.pid)
    os.kill(second, signal.SIGTERM)
    os.waitpid(second, 0)
    assert not one.alive
