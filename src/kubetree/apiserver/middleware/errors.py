"""The outermost layer: every error becomes a metav1.Status, in one place, and every request is counted."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from kubetree.api import errors
from kubetree.apiserver.answers import Answer
from kubetree.apiserver.context import Handler, Middleware, RequestContext
from kubetree.apiserver.metrics import Metrics
from kubetree.apiserver.responses import answer_error
from kubetree.store.protocol import Compacted, StoreUnavailable

log = logging.getLogger(__name__)


def render_errors(metrics: Metrics) -> Middleware:
    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            clock = asyncio.get_running_loop().time
            started, counted = clock(), metrics.begin(ctx)
            try:
                response = await inner(ctx)
            except errors.ApiError as error:
                response = answer_error(ctx, error)
            except Compacted as gone:
                response = answer_error(ctx, errors.Expired(f"too old resource version: {gone.revision} ({gone.oldest})"))
            except StoreUnavailable as down:
                response = answer_error(ctx, errors.ServiceUnavailable(f"the store is unavailable: {down}", retry_after=1))
            except ConnectionError:
                raise
            except Exception as fault:
                if not ctx.fresh:
                    raise
                log.exception("%s %s failed (audit-ID %s)", ctx.method, ctx.path, ctx.audit_id)
                response = answer_error(ctx, _internal(ctx, fault))
            finally:
                metrics.end(counted)
            size = len(response.body) if isinstance(response, Answer) else -1
            dry_run = "All" if ctx.query and "dryRun" in ctx.query else ""
            metrics.observe(counted, response.status, clock() - started, size, dry_run)
            return response

        return handle

    return wrap


def _internal(ctx: RequestContext, fault: Exception) -> errors.InternalError:
    return errors.InternalError(
        f"Internal error occurred: {type(fault).__name__}: {fault} (audit-ID {ctx.audit_id})",
        causes=[errors.Cause("", f"{type(fault).__name__}: {fault}")],
    )
