"""The audit record of one request: filled while it is worked on, told to the sink at each stage that the policy keeps.

Follows apiserver's audit/request.go and audit/context.go. The stages of one request are told in order; each is an event of its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from kubetree.api.times import format_duration, format_micro_time
from kubetree.apiserver.audit.policy import (
    API_VERSION,
    PANIC,
    PATCH_ANNOTATION,
    REQUEST_RECEIVED,
    RESPONSE_COMPLETE,
    RESPONSE_STARTED,
    Level,
    Recording,
)
from kubetree.apiserver.authentication.identity_reviews import user_info
from kubetree.apiserver.authentication.user import User

if TYPE_CHECKING:
    from kubetree.apiserver.audit.sinks import Sink
    from kubetree.apiserver.context import RequestContext

Object = dict[str, Any]
_LONGEST_USER_AGENT = 1024
_STATUS_FIELDS = ("status", "message", "reason", "details")
_IS_STATUS = b'{"kind":"Status"'
_SLOW = 0.5
"""Seconds from which on a request's record says where its time went."""
_CLOSED_EARLY = {"metadata": {}, "status": "Success", "message": "Connection closed early", "code": 200}


class AuditRecord:
    """`ctx.annotations` are the event's. What is too much for the level is never copied."""

    __slots__ = (
        "_began",
        "_clock",
        "_ctx",
        "_head",
        "_received",
        "_recording",
        "_reference",
        "_request",
        "_response",
        "_sink",
        "_started",
        "_status",
    )

    def __init__(self, ctx: RequestContext, recording: Recording, sink: Sink, clock: Callable[[], datetime]) -> None:
        self._ctx, self._recording, self._sink, self._clock = ctx, recording, sink, clock
        self._began = clock()
        self._received = format_micro_time(self._began)
        self._request: Any = None
        self._response: Any = None
        self._status: Object | None = None
        self._started = False
        self._reference = _object_reference(ctx)
        self._head: Object = {
            "kind": "Event",
            "apiVersion": API_VERSION,
            "level": recording.level.text,
            "auditID": ctx.audit_id,
            "stage": "",
            "requestURI": ctx.http.raw_path,
            "verb": ctx.info.verb,
        }

    def requested(self, obj: Object) -> None:
        """The decoded object of the request, defaults included; it may be changed afterwards."""
        metadata = obj.get("metadata") or {}
        if self._reference is not None:
            for field, key in (("namespace", "namespace"), ("name", "name"), ("uid", "uid"), ("resourceVersion", "resourceVersion")):
                if metadata.get(key) and not self._reference.get(field):
                    self._reference[field] = metadata[key]
        if self._recording.level >= Level.REQUEST:
            self._request = self._fragment(obj)

    def patched(self, patch: Any) -> None:
        """The patch of the request, as a JSON value."""
        if self._recording.level >= Level.REQUEST:
            self._request = orjson.Fragment(orjson.dumps(patch))

    def responded(self, data: bytes) -> None:
        """The JSON of an API object that is about to be answered."""
        if data.startswith(_IS_STATUS):
            self.failed(orjson.loads(data))
        elif self._recording.level >= Level.REQUEST_RESPONSE and data.startswith(b'{"kind":'):
            self._response = self._fragment(orjson.loads(data)) if self._recording.omit_managed_fields else orjson.Fragment(data)

    def failed(self, status: Object) -> None:
        """A metav1.Status is what is answered, of a failure or a success."""
        self._status = {"metadata": {}} | {field: status[field] for field in (*_STATUS_FIELDS, "code") if field in status}
        if self._recording.level >= Level.REQUEST_RESPONSE:
            self._response = orjson.Fragment(orjson.dumps(status))

    async def received(self) -> bool:
        """The request is about to be worked on. False: it must not be, because its record could not be kept."""
        return await self._tell(REQUEST_RECEIVED)

    async def started(self, code: int) -> None:
        """The head of a long-running answer goes out."""
        if self._started:
            return
        self._started = True
        self._code(code)
        await self._tell(RESPONSE_STARTED)

    async def refused(self, message: str, status: Object) -> None:
        """Authentication failed: upstream tells this as a response that starts."""
        self.failed(status)
        assert self._status is not None
        self._status.setdefault("message", message)
        await self.started(status["code"])

    async def completed(self, code: int, *, long_running: bool) -> None:
        if long_running:
            await self.started(code)
        self._code(code)
        self._note_latency()
        await self._tell(RESPONSE_COMPLETE)

    def _note_latency(self) -> None:
        """Of slow requests: how long they took, and how much of that they waited for others."""
        total = (self._clock() - self._began).total_seconds()
        if total > _SLOW:
            for layer, seconds in (*self._ctx.waits.items(), ("total", total)):
                self._ctx.annotations[f"apiserver.latency.k8s.io/{layer}"] = format_duration(seconds)

    async def closed_early(self, *, long_running: bool) -> None:
        """The client left before it was answered."""
        if self._status is None:
            self._status = dict(_CLOSED_EARLY)
            if long_running and not self._started:
                self._started = True
                await self._tell(RESPONSE_STARTED)
        await self._tell(RESPONSE_COMPLETE)

    async def panicked(self, fault: BaseException) -> None:
        message = f"APIServer panic'd: {fault}"
        self._status = {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500}
        await self._tell(PANIC)

    def _code(self, code: int) -> None:
        status = self._status = self._status or {"metadata": {}}
        status["code"] = code

    async def _tell(self, stage: str) -> bool:
        if stage in self._recording.omitted:
            return True
        return await self._sink.process([self._event(stage)])

    def _event(self, stage: str) -> Object:
        ctx = self._ctx
        event = self._head | {"stage": stage, "user": user_info(ctx.impersonated_by or ctx.user) if ctx.user is not NO_USER else {}}
        if ctx.impersonated_by is not None:
            event["impersonatedUser"] = user_info(ctx.user)
            if ctx.impersonation_constraint:
                event["authenticationMetadata"] = {"impersonationConstraint": ctx.impersonation_constraint}
        event["sourceIPs"] = source_ips(ctx)
        agent = ctx.user_agent
        if agent:
            event["userAgent"] = agent if len(agent) <= _LONGEST_USER_AGENT else agent[:_LONGEST_USER_AGENT] + "...TRUNCATED"
        if self._reference is not None:
            event["objectRef"] = {field: self._reference[field] for field in _REFERENCE_FIELDS if self._reference.get(field)}
        parts = {"responseStatus": self._status, "requestObject": self._request, "responseObject": self._response}
        event |= {field: part for field, part in parts.items() if part is not None}
        if self._status is not None:
            event["responseStatus"] = dict(self._status)
        event["requestReceivedTimestamp"] = self._received
        event["stageTimestamp"] = self._received if stage == REQUEST_RECEIVED else format_micro_time(self._clock())
        whole = self._recording.level >= Level.REQUEST
        annotations = {k: v for k, v in sorted(ctx.annotations.items()) if whole or not k.startswith(PATCH_ANNOTATION)}
        if annotations:
            event["annotations"] = annotations
        return event

    def _fragment(self, obj: Object) -> orjson.Fragment:
        if self._recording.omit_managed_fields:
            obj = without_managed_fields(obj)
        return orjson.Fragment(orjson.dumps(obj))


NO_USER = User("", groups=())
"""Whom a request that failed to authenticate comes from."""
_REFERENCE_FIELDS = ("resource", "namespace", "name", "uid", "apiGroup", "apiVersion", "resourceVersion", "subresource")


def _object_reference(ctx: RequestContext) -> dict[str, str] | None:
    info = ctx.info
    if not info.is_resource:
        return None
    return {
        "resource": info.resource,
        "namespace": info.namespace,
        "name": info.name,
        "apiGroup": info.group,
        "apiVersion": info.version,
        "subresource": info.subresource,
    }


def without_managed_fields(obj: Object) -> Object:
    """An object, a list or a Table without metadata.managedFields; what is changed is copied."""
    if obj.get("kind") == "Table":
        return obj | {"rows": [_row_without(row) for row in obj.get("rows") or ()]}
    if isinstance(obj.get("items"), list):
        return obj | {"items": [without_managed_fields(item) for item in obj["items"]]}
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return obj
    return obj | {"metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def _row_without(row: Object) -> Object:
    return row | {"object": without_managed_fields(row["object"])} if isinstance(row.get("object"), dict) else row


def source_ips(ctx: RequestContext) -> list[str]:
    """X-Forwarded-For, X-Real-Ip and the connection's address, as apimachinery's net.SourceIPs: all but the last may be made up."""
    found = [ip for part in ctx.headers.get("X-Forwarded-For", "").split(",") if (ip := _ip(part))]
    real = _ip(ctx.headers.get("X-Real-Ip", ""))
    if real and real not in found:
        found.append(real)
    remote = _ip(ctx.remote)
    if remote and (not found or found[-1] != remote):
        found.append(remote)
    return found


def _ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return ""
