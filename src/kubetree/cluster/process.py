"""How a component runs as a process: uvloop, a clean end on SIGTERM and SIGINT, logs on stderr, a name that `ps` shows."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

PR_SET_NAME = 15

Run = Callable[[argparse.Namespace], Awaitable[object]]


def run_component(name: str, run: Run, options: argparse.Namespace) -> int:
    """Runs a component until it ends or is told to. Returns its exit code: 0 after a signal, 1 after an error, which is logged."""
    _set_process_name(f"kt-{name}")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname).1s %(name)s: %(message)s")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_until_told(run, options))
    except KeyboardInterrupt:
        return 0


async def _until_told(run: Run, options: argparse.Namespace) -> int:
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(run(options))
    told = False

    def tell() -> None:
        nonlocal told
        told = True
        work.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell)
    try:
        await work
    except asyncio.CancelledError:
        if not told:
            raise
    except Exception:
        logging.getLogger("kubetree").exception("ended by an error")
        return 1
    return 0


def _set_process_name(name: str) -> None:
    """The name in `ps -o comm`, at most 15 bytes. Where the C library has no prctl the name stays."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)
