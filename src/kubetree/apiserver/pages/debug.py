"""/debug: what the process is doing, for whoever may ask: stacks of tasks and threads, a sampled CPU profile, the level of logging.

Where upstream has Go's profiles, here are Python's, as text; the paths are the same.
"""

from __future__ import annotations

import asyncio
import gc
import html
import io
import logging
import sys
import threading
import time
import traceback
from collections import Counter
from types import FrameType

from aiohttp import web

from kubetree.apiserver.context import Handler, RequestContext
from kubetree.apiserver.wire.bodies import read_body
from kubetree.apiserver.wire.responses import answer_text

_MOST_SECONDS, _SAMPLE = 60.0, 0.01
_MOST_BODY = 1024
_DESCRIPTIONS = {
    "allocs": "objects by type, of those that the garbage collector follows: the same as heap",
    "goroutine": "the stacks of all tasks",
    "heap": "objects by type, of those that the garbage collector follows",
    "profile": "where the event loop spends its time: stacks sampled for ?seconds=30, in collapsed form (most flame graph tools read it)",
    "threadcreate": "the stacks of all threads",
    "trace": "what the event loop runs, one line for each stack that was seen during ?seconds=1, in the order of time",
}
_UNKNOWN = {"X-Go-Pprof": "1"}
_LEVELS = ((4, logging.DEBUG), (2, logging.INFO), (0, logging.WARNING))
"""From which -v on which level is logged."""


async def index(ctx: RequestContext) -> web.StreamResponse:
    name = ctx.path.removeprefix("/debug/pprof").strip("/")
    if not name:
        rows = "".join(
            f"<tr><td><a href='{n}?debug=1'>{n}</a></td><td>{html.escape(text)}</td></tr>\n" for n, text in _DESCRIPTIONS.items()
        )
        page = f"<html>\n<head>\n<title>/debug/pprof/</title>\n</head>\n<body>\n/debug/pprof/\n<table>\n{rows}</table>\n</body>\n</html>"
        return answer_text(ctx, page, content_type="text/html; charset=utf-8")
    if name in ("profile", "trace"):
        seconds = _number(ctx.first("seconds"), 30.0 if name == "profile" else 1.0)
        return answer_text(ctx, await _sampled(min(seconds, _MOST_SECONDS), in_order=name == "trace"))
    if name == "symbol":
        return answer_text(ctx, "num_symbols: 0\n")
    texts = {"allocs": _heap, "goroutine": _tasks, "heap": _heap, "threadcreate": _threads}
    if name not in texts:
        answer = answer_text(ctx, "Unknown profile\n", 404)
        answer.headers.update(_UNKNOWN)
        return answer
    return answer_text(ctx, texts[name]())


async def to_index(ctx: RequestContext) -> web.StreamResponse:
    """Follows routes/profiling.go."""
    answer = answer_text(ctx, '<a href="/debug/pprof/">Found</a>.\n\n', 302, "text/html; charset=utf-8")
    answer.headers["Location"] = "/debug/pprof/"
    return answer


async def flags(ctx: RequestContext) -> web.StreamResponse:
    """What can be set under /debug/flags/. Follows routes/flags.go."""
    rows = "flags:<br>\n<table>\n<tr>v<br>\n</table>\n<br>\nfull flags configurable<br>\n"
    head = "<html>\n<head>\n<title>/debug/flags/</title>\n</head>\n<body>\n/debug/flags/<br>\n<br>\n"
    return answer_text(ctx, f"{head}{rows}</body>\n</html>\n", content_type="text/html; charset=utf-8")


def _number(text: str, default: float) -> float:
    try:
        return max(0.0, float(text)) if text else default
    except ValueError:
        return default


def _tasks() -> str:
    tasks = sorted(asyncio.all_tasks(), key=lambda task: task.get_name())
    out = io.StringIO()
    out.write(f"goroutine profile: total {len(tasks)}\n")
    for task in tasks:
        out.write(f"\n{task.get_name()}:\n")
        for frame in task.get_stack():  # print_stack cannot show frames of compiled modules: they are at no line
            code = frame.f_code
            out.write(f'  File "{code.co_filename}", line {frame.f_lineno or code.co_firstlineno}, in {code.co_name}\n')
    return out.getvalue()


def _threads() -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks = [f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}" for ident, frame in sys._current_frames().items()]
    return "\n".join(stacks)


def _heap() -> str:
    counted = Counter(type(found).__qualname__ for found in gc.get_objects())
    return "".join(f"{count:10} {name}\n" for name, count in counted.most_common(100))


async def _sampled(seconds: float, *, in_order: bool) -> str:
    """Stacks of this thread, seen from another one, so that what blocks the loop is seen: each with how often, or as they came."""
    own, done, found = threading.get_ident(), threading.Event(), list[tuple[float, str]]()
    began = time.perf_counter()

    def sample() -> None:
        while True:  # at least once, however busy the machine is
            frame = sys._current_frames().get(own)
            if frame is not None:
                found.append((time.perf_counter() - began, _collapsed(frame)))
            if done.wait(_SAMPLE):
                return

    sampler = threading.Thread(target=sample, name="profile", daemon=True)
    sampler.start()
    try:
        await asyncio.sleep(seconds)
    finally:
        done.set()
    await asyncio.to_thread(sampler.join)
    if in_order:
        return "".join(f"{at:.3f} {stack}\n" for at, stack in found)
    return "".join(f"{stack} {count}\n" for stack, count in Counter(stack for _, stack in found).most_common())


def _collapsed(frame: FrameType | None) -> str:
    names = []
    while frame is not None:
        names.append(f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return ";".join(reversed(names))


async def verbosity(ctx: RequestContext) -> web.StreamResponse:
    """PUT a number to /debug/flags/v: as -v, while the process runs."""
    if ctx.method != "PUT":
        return answer_text(ctx, "unsupported http method\n", 406, "text/plain")
    text = (await read_body(ctx, _MOST_BODY)).decode(errors="replace").strip()
    try:
        level = int(text)
    except ValueError:
        message = f'error setting klog.logging.verbosity to {text}: strconv.ParseInt: parsing "{text}": invalid syntax'
        return answer_text(ctx, message, 400, "text/plain")
    set_verbosity(level)
    return answer_text(ctx, f"successfully set klog.logging.verbosity to {text}\n", content_type="text/plain")


def set_verbosity(level: int) -> None:
    logging.getLogger("kubetree").setLevel(next(value for least, value in _LEVELS if max(level, 0) >= least))


PAGES: dict[str, Handler] = {"/debug/pprof/": index, "/debug/pprof": to_index}
PAGES |= {"/debug/flags": flags, "/debug/flags/": flags, "/debug/flags/v": verbosity}
