"""Work beside requests that must go on whatever happens to it: one object that it cannot cope with must not end the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
Work = Callable[[], Awaitable[None]]


async def kept_running(name: str, work: Work, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Runs `work` until it returns or is cancelled. What it raises is logged with its trace, and it begins anew after a pause that grows."""
    pause = FIRST_PAUSE
    while True:
        try:
            await work()
            return
        except Exception:
            log.exception("%s failed and begins anew in %g s", name, pause)
        await sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
