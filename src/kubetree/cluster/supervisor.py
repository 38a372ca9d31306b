"""The process that starts the others and starts them again. It imports every component once and forks: that shares their memory.

A component is imported right before it starts, so that the API server need not wait for what the others are made of.

It holds no state that matters: killed, it leaves the components running, and the next one takes over what its pid files name.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from kubetree.cluster import pidfile
from kubetree.cluster.components import COMPONENTS, Component
from kubetree.cluster.layout import Layout
from kubetree.cluster.loading import load
from kubetree.cluster.process import run_component
from kubetree.cluster.settings import read_settings
from kubetree.cluster.starting import SUPERVISOR

NAME = SUPERVISOR
FIRST_DELAY, LAST_DELAY = 0.1, 10.0
STEADY = 30.0
"""A component that ran this many seconds starts again at once when it ends; one that did not waits longer each time."""


@dataclass(slots=True)
class Child:
    """A component and what is known of its process. `due` is when it may start (monotonic), `delay` the next wait."""

    component: Component
    process: pidfile.Process | None = None
    descriptor: int = -1
    started: float = 0.0
    due: float = 0.0
    delay: float = 0.0


class Supervisor:
    def __init__(self, layout: Layout, components: Sequence[Component]) -> None:
        self._layout = layout
        self._settings = read_settings(layout)
        self._children = [Child(component) for component in components]
        self._told = False

    def run(self) -> None:
        """Keeps all components running until SIGTERM, then ends them, last started first."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        pidfile.record(self._layout.pids, NAME, os.getpid())
        for child in self._children:
            self._adopt(child)
        while not self._told:
            self._start_due()
            self._wait(wake_read)
        for child in reversed(self._children):
            if child.process is not None:
                child.process.end()
                self._reap(child)
            pidfile.remove(self._layout.pids, child.component.name)
        pidfile.remove(self._layout.pids, NAME)

    def _tell(self, number: int, frame: FrameType | None) -> None:
        self._told = True

    def _adopt(self, child: Child) -> None:
        child.process = pidfile.find(self._layout.pids, child.component.name)
        if child.process is not None:
            child.started = time.monotonic()
            child.descriptor = os.pidfd_open(child.process.pid)

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None and child.due <= now:
                self._start(child)

    def _start(self, child: Child) -> None:
        name = child.component.name
        if child.component.module:
            load(child.component.module)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self._become(child.component)
        pidfile.record(self._layout.pids, name, pid)
        child.process = pidfile.Process(pid, pidfile.start_time(pid) or 0)
        child.started = time.monotonic()
        child.descriptor = os.pidfd_open(pid)

    def _become(self, component: Component) -> NoReturn:
        """In the forked process: turns into the component."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            log = os.open(self._layout.log_file(component.name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
            os.dup2(log, 1)
            os.dup2(log, 2)
            arguments = list(component.arguments(self._layout, self._settings))
            if not component.module:
                os.execvp(arguments[0], arguments)
            gc.enable()
            module = importlib.import_module(component.module)
            parser = argparse.ArgumentParser(prog=f"kubetree {component.name}")
            module.add_arguments(parser)
            code = run_component(component.name, module.run, parser.parse_args(arguments))
        except BaseException as error:
            print(f"{component.name}: {error!r}", file=sys.stderr, flush=True)
            code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
        finally:
            os._exit(code)

    def _wait(self, wake: int) -> None:
        """Returns when a component has ended, one is due, or a signal came."""
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        for child in self._children:
            if child.process is not None:
                poll.register(child.descriptor, select.POLLIN)
        waiting = [child.due for child in self._children if child.process is None]
        timeout = max(0.0, min(waiting) - time.monotonic()) * 1000 if waiting else None
        ready = {descriptor for descriptor, _ in poll.poll(timeout)}
        if wake in ready:
            os.read(wake, 4096)
        for child in self._children:
            if child.process is not None and child.descriptor in ready:
                self._ended(child)

    def _ended(self, child: Child) -> None:
        code = self._reap(child)
        now = time.monotonic()
        steady = now - child.started >= STEADY
        child.delay = 0.0 if steady else min(max(child.delay * 2, FIRST_DELAY), LAST_DELAY)
        child.due = now + child.delay
        print(f"{time.strftime('%FT%T')} {child.component.name} ended ({code}); starting it in {child.delay:g} s", flush=True)

    def _reap(self, child: Child) -> str:
        """Closes what is held of an ended process. Returns how it ended, as far as that can be known."""
        process, child.process = child.process, None
        if child.descriptor >= 0:
            os.close(child.descriptor)
            child.descriptor = -1
        if process is None:
            return "never started"
        try:
            _, status = os.waitpid(process.pid, 0)
        except ChildProcessError:
            return "not a child of this supervisor"
        code = os.waitstatus_to_exitcode(status)
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _told_to_go(layout: Layout, components: Sequence[Component]) -> bool:
    """Imports the first component, then waits for a line on standard input and becomes a daemon; False when there comes none."""
    load(next(component.module for component in components if component.module))
    if not sys.stdin.readline():
        return False
    log = os.open(layout.log_file(NAME), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
        os.dup2(descriptor, target)
    os.chdir("/")
    return True


def main(arguments: list[str] | None = None) -> int:
    """`python -m kubetree.cluster.supervisor`, started by `kubetree up`."""
    parser = argparse.ArgumentParser(prog="kubetree supervisor", description=__doc__)
    parser.add_argument("--skip", default="", help="components not to start, separated by commas")
    parser.add_argument("--wait", action="store_true", help="start nothing before there is a line on standard input")
    options = parser.parse_args(arguments)
    gc.disable()  # a collection here would write to memory that the components share
    layout = Layout()
    running = pidfile.find(layout.pids, NAME)
    if running is not None:
        print(f"a supervisor runs already (pid {running.pid})", file=sys.stderr)
        return 0
    components = [component for component in COMPONENTS if component.name not in options.skip.split(",")]
    if options.wait and not _told_to_go(layout, components):
        return 1
    Supervisor(layout, components).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
