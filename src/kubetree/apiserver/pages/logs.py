"""/logs: the files of /var/log, as listings and as they are. Only where --enable-logs-handler says so.

Follows apiserver's routes/logs.go, which is Go's file server over that folder.
"""

from __future__ import annotations

import asyncio
import html
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.wire.answers import Answer
from kubetree.apiserver.wire.responses import answer_text, not_found_page

FOLDER = Path("/var/log")
_HTML = "text/html; charset=utf-8"


async def logs_page(ctx: RequestContext) -> web.StreamResponse:
    return await page_of(ctx, FOLDER)


async def page_of(ctx: RequestContext, folder: Path) -> web.StreamResponse:
    """A path below /logs/, of `folder`. What is not a file or a folder, or lies elsewhere, is not found."""
    if ctx.path == "/logs":
        return _moved("/logs/")
    name = ctx.path.removeprefix("/logs/")
    found = (folder / name).resolve()
    if ".." in Path(name).parts or not found.is_relative_to(folder.resolve()):
        return not_found_page(ctx)
    if found.is_dir():
        if name and not name.endswith("/"):
            return _moved(f"{found.name}/")
        entries = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in found.iterdir())
        rows = "".join(f'<a href="{quote(entry)}">{html.escape(entry)}</a>\n' for entry in entries)
        return answer_text(ctx, f'<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n{rows}</pre>\n', 200, _HTML)
    if not found.is_file():
        return not_found_page(ctx)
    try:
        data = await asyncio.to_thread(found.read_bytes)
    except PermissionError:
        return answer_text(ctx, "403 Forbidden\n", 403)
    return Answer(data, 200, {"Audit-Id": ctx.audit_id, "Cache-Control": "no-cache, private", "Content-Type": "text/plain; charset=utf-8"})


def _moved(where: str) -> Answer:
    return Answer(b"", 301, {"Location": where})
