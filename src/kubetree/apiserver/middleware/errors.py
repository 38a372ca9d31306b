"""The outermost layer: every error becomes a metav1.Status, in one place, and every request is counted."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from kubetree.api import errors
from kubetree.apiserver.context import Handler, Middleware, RequestContext
from kubetree.apiserver.encryption.transformers import UnreadableValue
from kubetree.apiserver.metrics.requests import Metrics
from kubetree.apiserver.middleware.timeout import TIMED_OUT, TimedOut
from kubetree.apiserver.wire.answers import Answer
from kubetree.apiserver.wire.responses import answer_error, answer_text
from kubetree.store.protocol import Compacted, Refused, StoreUnavailable

log = logging.getLogger(__name__)
_DROPPED = 429
_TOO_DEEP = ("Recursion limit reached", "maximum recursion depth exceeded")
"""How orjson and Python say that a value is nested too deep."""


def render_errors(metrics: Metrics) -> Middleware:
    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            clock = asyncio.get_running_loop().time
            started, counted = clock(), metrics.begin(ctx)
            try:
                response = await inner(ctx)
            except errors.ApiError as error:
                if isinstance(error, TimedOut):
                    metrics.terminated(counted, ctx.info, error.status_code)
                    response = answer_text(ctx, TIMED_OUT, error.status_code)
                    del response.headers["X-Content-Type-Options"]
                else:
                    response = answer_error(ctx, error)
            except ConnectionError:
                metrics.aborted(counted)
                raise
            except Exception as fault:
                known = as_api_error(fault)
                if known is None:
                    if not ctx.fresh:
                        raise
                    log.exception("%s %s failed (audit-ID %s)", ctx.method, ctx.path, ctx.audit_id)
                    metrics.terminated(counted, ctx.info, 500)
                response = answer_error(ctx, known or _internal(ctx, fault))
            finally:
                metrics.end(counted)
            if ctx.routed:
                size = response.size if isinstance(response, Answer) else -1
                metrics.observe(counted, ctx, response.status, clock() - started, size)
            elif response.status == _DROPPED:
                metrics.dropped(counted)
            return response

        return handle

    return wrap


def as_api_error(fault: Exception) -> errors.ApiError | None:
    """What a failure is answered with; None for one that nobody foresaw."""
    match fault:
        case errors.ApiError():
            return fault
        case web.HTTPBadRequest() | web.RequestPayloadError():  # a handshake or a body that is no proper HTTP
            return errors.BadRequest(f"the request cannot be read: {fault}")
        case TypeError() | RecursionError() if str(fault).startswith(_TOO_DEEP):
            return errors.BadRequest("exceeded max depth")
        case Compacted():
            return errors.Expired(f"too old resource version: {fault.revision} ({fault.oldest})")
        case UnreadableValue():
            return errors.InternalError(f"Internal error occurred: {fault}", causes=[errors.Cause("", str(fault))])
        case Refused():  # upstream passes on what etcd's client says, without a reason
            return errors.ApiError(str(fault), status_reason="")
        case StoreUnavailable():
            return errors.ServiceUnavailable(f"the store is unavailable: {fault}", retry_after=1)
    return None


def _internal(ctx: RequestContext, fault: Exception) -> errors.InternalError:
    return errors.InternalError(
        f"Internal error occurred: {type(fault).__name__}: {fault} (audit-ID {ctx.audit_id})",
        causes=[errors.Cause("", f"{type(fault).__name__}: {fault}")],
    )
