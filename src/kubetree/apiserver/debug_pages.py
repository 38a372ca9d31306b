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
import traceback
from collections import Counter
from types import FrameType

from aiohttp import web

from kubetree.apiserver.bodies import read_body
from kubetree.apiserver.context import Handler, RequestContext
from kubetree.apiserver.responses import answer_text, not_found_page

_MOST_SECONDS, _SAMPLE = 60.0, 0.01
_MOST_BODY = 1024
_DESCRIPTIONS = {
    "cmdline": "the command line, its words separated by NUL",
    "goroutine": "the stacks of all tasks",
    "heap": "objects by type, of those that the garbage collector follows",
    "profile": "where the event loop spends its time: stacks sampled for ?seconds=5, in collapsed form (most flame graph tools read it)",
    "threadcreate": "the stacks of all threads",
}
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
    if name == "profile":
        return answer_text(ctx, await _profile(min(_number(ctx.first("seconds"), 5.0), _MOST_SECONDS)))
    texts = {"cmdline": lambda: "\0".join(sys.argv), "goroutine": _tasks, "heap": _heap, "threadcreate": _threads}
    return answer_text(ctx, texts[name]()) if name in texts else not_found_page(ctx)


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


async def _profile(seconds: float) -> str:
    """Samples this thread from another one, so that what blocks the loop is seen."""
    own, done, found = threading.get_ident(), threading.Event(), Counter[str]()

    def sample() -> None:
        while not done.wait(_SAMPLE):
            frame = sys._current_frames().get(own)
            if frame is not None:
                found[_collapsed(frame)] += 1

    sampler = threading.Thread(target=sample, name="profile", daemon=True)
    sampler.start()
    try:
        await asyncio.sleep(seconds)
    finally:
        done.set()
    return "".join(f"{stack} {count}\n" for stack, count in found.most_common())


def _collapsed(frame: FrameType | None) -> str:
    names = []
    while frame is not None:
        names.append(f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return ";".join(reversed(names))


async def verbosity(ctx: RequestContext) -> web.StreamResponse:
    """PUT a number to /debug/flags/v: as -v, while the process runs."""
    if ctx.method != "PUT":
        return answer_text(ctx, "unsupported http method", 406, "text/plain")
    text = (await read_body(ctx, _MOST_BODY)).decode(errors="replace").strip()
    try:
        level = int(text)
    except ValueError:
        message = f'error setting klog.logging.verbosity to {text}: strconv.ParseInt: parsing "{text}": invalid syntax'
        return answer_text(ctx, message, 400, "text/plain")
    set_verbosity(level)
    return answer_text(ctx, f"successfully set klog.logging.verbosity to {text}", content_type="text/plain")


def set_verbosity(level: int) -> None:
    logging.getLogger("kubetree").setLevel(next(value for least, value in _LEVELS if max(level, 0) >= least))


PAGES: dict[str, Handler] = {"/debug/pprof/": index, "/debug/pprof": index, "/debug/flags/v": verbosity}
