"""Who did what: decides by the policy whether a request is recorded, and tells its stages. Not there at all when audit is off.

Follows endpoints/filters/audit.go and authn_audit.go. Stands within authentication, so that the record knows the user, and around
everything else; what failed to authenticate is told by `record_refusal`.
"""

from __future__ import annotations

import asyncio
import ipaddress

from aiohttp import web

from kubetree.api import errors
from kubetree.apiserver.audit.build import Auditing
from kubetree.apiserver.audit.policy import Level
from kubetree.apiserver.audit.record import NO_USER, AuditRecord
from kubetree.apiserver.context import Handler, Middleware, RequestContext
from kubetree.apiserver.middleware.authorization import attributes_of
from kubetree.apiserver.middleware.errors import as_api_error
from kubetree.apiserver.middleware.timeout import TimedOut, is_long_running

_STARTUP = "apiserver.k8s.io/startup"


def audit(auditing: Auditing) -> Middleware:
    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            record = begin(ctx, auditing)
            if record is None:
                return await inner(ctx)
            if not await record.received():
                auditing.rejected += 1
                raise errors.InternalError("Internal Server Error: failed to store audit event")
            long_running = is_long_running(ctx)
            try:
                response = await inner(ctx)
            except asyncio.CancelledError:
                if _client_left(ctx):
                    await record.closed_early(long_running=long_running)
                else:
                    await _failed(record, TimedOut(), long_running)
                raise
            except ConnectionError:
                await record.closed_early(long_running=long_running)
                raise
            except Exception as fault:
                error = as_api_error(fault)
                if error is None:
                    await record.panicked(fault)
                else:
                    await _failed(record, error, long_running)
                raise
            await record.completed(response.status, long_running=long_running)
            return response

        return handle

    return wrap


def begin(ctx: RequestContext, auditing: Auditing) -> AuditRecord | None:
    """None: the policy wants nothing of this request."""
    recording = auditing.policy.recording(attributes_of(ctx))
    auditing.levels[recording.level] = auditing.levels.get(recording.level, 0) + 1
    if recording.level is Level.NONE:
        return None
    if not auditing.ready() and not ctx.user_agent.startswith("kube-probe/"):
        ctx.annotations[_STARTUP] = f"early=true self=false loopback={str(_is_loopback(ctx.remote)).lower()}"
    ctx.audit = AuditRecord(ctx, recording, auditing.sink, auditing.clock)
    return ctx.audit


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


async def record_refusal(auditing: Auditing, ctx: RequestContext, error: errors.ApiError) -> None:
    """A request whose credentials were not accepted."""
    ctx.user = NO_USER
    record = begin(ctx, auditing)
    if record is not None:
        await record.refused(_attempted(ctx), error.to_status())


async def _failed(record: AuditRecord, error: errors.ApiError, long_running: bool) -> None:
    record.failed(error.to_status())
    await record.completed(error.status_code, long_running=long_running)


def _client_left(ctx: RequestContext) -> bool:
    transport = ctx.http.transport
    return transport is None or transport.is_closing()


def _attempted(ctx: RequestContext) -> str:
    scheme = ctx.headers.get("Authorization", "").strip().split(" ")
    attempts = [scheme[0].lower()] if len(scheme) > 1 and scheme[0].lower() in ("basic", "bearer") else []
    if ctx.first("access_token"):
        attempts.append("access_token")
    if ctx.peer_certificate is not None:
        attempts.append("x509")
    return f"Authentication failed, attempted: {', '.join(attempts)}" if attempts else "Authentication failed, no credentials provided"
