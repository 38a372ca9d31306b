"""From bytes to an HTTP answer: format, pretty-printing, compression. The one place where a Status is rendered."""

from __future__ import annotations

from typing import Any

import orjson
from isal import isal_zlib

from kubetree.api.errors import ApiError
from kubetree.apiserver.answers import Answer
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.negotiation import JSON, PLAIN, Output, negotiate, prettier

GZIP_THRESHOLD = 128 * 1024
_GZIP_LEVEL, _GZIP_FORMAT = 1, 31
_NO_CACHE = "no-cache, private"


def pretty_json(data: bytes) -> bytes:
    return orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2) + b"\n"


def gzip_fast(data: bytes) -> bytes:
    """A gzip stream at a fast level, as upstream compresses answers; ISA-L takes a sixth of zlib's time for the same size."""
    packed: bytes = isal_zlib.compress(data, _GZIP_LEVEL, _GZIP_FORMAT)
    return packed


def accepts_gzip(headers: Any) -> bool:
    accepted: str = headers.get("Accept-Encoding", "")
    return any(part.partition(";")[0].strip() == "gzip" for part in accepted.split(",")) if accepted else False


def answer(ctx: RequestContext, data: bytes, output: Output = PLAIN, status: int = 200) -> Answer:
    """`data` is JSON. Large answers to GET are compressed where the client accepts it."""
    if ctx.audit is not None:
        ctx.audit.responded(data)
    serializer = output.serializer
    if output.pretty:
        data = pretty_json(data)
    elif serializer is not JSON:
        data = serializer.from_json(data)
    headers = {"Audit-Id": ctx.audit_id, "Cache-Control": _NO_CACHE, "Content-Type": serializer.content_type or serializer.media_type}
    if ctx.warnings:
        return _with_warnings(ctx, data, headers, status)
    if len(data) > GZIP_THRESHOLD and ctx.info.verb in ("get", "list") and accepts_gzip(ctx.headers):
        data = gzip_fast(data)
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Accept-Encoding"
    return Answer(data, status, headers)


def _with_warnings(ctx: RequestContext, data: bytes, headers: dict[str, str], status: int) -> Answer:
    response = Answer(data, status, headers)
    for warning in dict.fromkeys(ctx.warnings):
        response.headers.add("Warning", f'299 - "{_quoted(warning)}"')
    return response


def _quoted(text: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')


def answer_object(ctx: RequestContext, obj: Any, output: Output = PLAIN, status: int = 200) -> Answer:
    return answer(ctx, orjson.dumps(obj), output, status)


def answer_text(ctx: RequestContext, text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Answer:
    headers = {"Audit-Id": ctx.audit_id, "Cache-Control": _NO_CACHE, "Content-Type": content_type, "X-Content-Type-Options": "nosniff"}
    return Answer(text.encode(), status, headers)


def answer_error(ctx: RequestContext, error: ApiError) -> Answer:
    accepted = negotiate(ctx.headers.get("Accept", ""))
    output = Output(accepted.serializer, pretty=accepted.pretty) if accepted is not None else PLAIN
    output = prettier(output, ctx.first("pretty"), ctx.user_agent)
    response = answer_object(ctx, error.to_status(), output, error.status_code)
    if error.retry_after:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def not_found_page(ctx: RequestContext) -> Answer:
    """What an unknown path gets: Go's plain text, no Status."""
    return answer_text(ctx, "404 page not found\n", 404)
