"""Work that is done again and again beside the pods: a failure is told and tried again, and never ends the kubelet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kubetree.api.errors import ApiError
from kubetree.kubelet.cri.client import RuntimeFailure

log = logging.getLogger("kubetree.kubelet")


async def repeat(title: str, period: float, work: Callable[[], Awaitable[object]]) -> None:
    """`work` at once and then each `period` seconds, until cancelled."""
    while True:
        await attempt(title, work)
        await asyncio.sleep(period)


async def attempt(title: str, work: Callable[[], Awaitable[object]]) -> None:
    """`work` once; what goes wrong is logged: in a line where the runtime, the API or a disk is at fault, whole where the code is."""
    try:
        await work()
    except (RuntimeFailure, ApiError, OSError) as error:
        log.warning("%s: %s", title, error)
    except Exception:
        log.exception("%s", title)
