"""The one tree of errors, mirroring metav1.Status: raise anywhere, rendered in one place.

Follows k8s.io/apimachinery/pkg/api/errors: the HTTP code, the reason and the wording that clients match on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Cause:
    """metav1.StatusCause: `reason` is a field error type such as FieldValueRequired, `field` a path such as spec.replicas."""

    reason: str
    message: str
    field: str = ""

    def to_dict(self) -> dict[str, str]:
        pairs = {"reason": self.reason, "message": self.message, "field": self.field}
        return {k: v for k, v in pairs.items() if v}


class ApiError(Exception):
    """A failed API request. `code` is the HTTP status, `reason` a metav1.StatusReason; both come from the class unless given.
    `empty_details`: upstream's router sends details with nothing in them."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        name: str = "",
        group: str = "",
        kind: str = "",
        uid: str = "",
        causes: Sequence[Cause] = (),
        retry_after: int = 0,
        status_code: int | None = None,
        status_reason: str | None = None,
        empty_details: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.name, self.group, self.kind, self.uid = name, group, kind, uid
        self.causes = tuple(causes)
        self.retry_after = retry_after
        self.status_code = self.code if status_code is None else status_code
        self.status_reason = self.reason if status_reason is None else status_reason
        self.empty_details = empty_details

    def to_status(self) -> dict[str, Any]:
        """The metav1.Status object that the API server answers with."""
        details: dict[str, Any] = {"name": self.name, "group": self.group, "kind": self.kind, "uid": self.uid}
        details = {k: v for k, v in details.items() if v}
        if self.causes:
            details["causes"] = [c.to_dict() for c in self.causes]
        if self.retry_after:
            details["retryAfterSeconds"] = self.retry_after
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message}
        if self.status_reason:
            status["reason"] = self.status_reason
        if details or self.empty_details:
            status["details"] = details
        status["code"] = self.status_code
        return status


class BadRequest(ApiError):
    """The request itself makes no sense: a body that cannot be read, parameters that contradict each other."""

    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    """Nobody knows who asks."""

    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized", **kw: Any) -> None:
        super().__init__(message, **kw)


class Forbidden(ApiError):
    """Who asks is known and may not, or admission refuses."""

    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    """Neither the object nor, perhaps, its resource is there."""

    code, reason = 404, "NotFound"


class MethodNotSupported(ApiError):
    """The resource has no such verb."""

    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    """None of the formats in Accept is to be had."""

    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    """A create of a name that is taken. With `generateName` the client may simply try again."""

    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    """The object is another than the one that was read: read it again, and try once more."""

    code, reason = 409, "Conflict"


class Expired(ApiError):
    """The resourceVersion or continue token is older than the last compaction."""

    code, reason = 410, "Expired"


class Gone(ApiError):
    """What was asked for is there no more, and will not be again."""

    code, reason = 410, "Gone"


class RequestEntityTooLarge(ApiError):
    """A body over the limit, before it is read to its end."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    """The body's Content-Type is none that is taken here."""

    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """A well-formed object that breaks a rule; `causes` name every field."""

    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    """Not now: priority and fairness, or an eviction that a disruption budget does not allow. `retry_after` seconds say when."""

    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    """The server's fault, not the client's."""

    code, reason = 500, "InternalError"


class ServiceUnavailable(ApiError):
    """What is needed to answer cannot be reached: the store, another server."""

    code, reason = 503, "ServiceUnavailable"


class ServerTimeout(ApiError):
    """The operation may be tried again; upstream answers it with 500 and retryAfterSeconds."""

    code, reason = 500, "ServerTimeout"


class Timeout(ApiError):
    """The request's time is over. Whether it took effect is not known."""

    code, reason = 504, "Timeout"


def qualified(plural: str, group: str) -> str:
    """`pods` or `deployments.apps`: how upstream's messages name a resource."""
    return f"{plural}.{group}" if group else plural


def quoted(text: str) -> str:
    """As Go's %q has it."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escaped(c)) for c in text) + '"'


def quoted_all(texts: Iterable[str]) -> str:
    """Go's %q of a slice: `["a" "b"]`."""
    return f"[{' '.join(map(quoted, texts))}]"


_ESCAPES = {'"': r"\"", "\\": r"\\", "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}


def _escaped(c: str) -> str:
    code = ord(c)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def not_found(plural: str, group: str, name: str) -> NotFound:
    """`pods "x" not found`."""
    return NotFound(f"{qualified(plural, group)} {quoted(name)} not found", name=name, group=group, kind=plural)


def already_exists(plural: str, group: str, name: str) -> AlreadyExists:
    """`deployments.apps "x" already exists`."""
    return AlreadyExists(f"{qualified(plural, group)} {quoted(name)} already exists", name=name, group=group, kind=plural)


def conflict(plural: str, group: str, name: str, why: str) -> Conflict:
    """`Operation cannot be fulfilled on pods "x": ...`; MODIFIED is what is said of a resourceVersion that is not the latest."""
    return Conflict(
        f"Operation cannot be fulfilled on {qualified(plural, group)} {quoted(name)}: {why}", name=name, group=group, kind=plural
    )


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def forbidden(plural: str, group: str, name: str, why: str) -> Forbidden:
    """`pods "x" is forbidden: ...`, without the name where there is none yet."""
    subject = f"{qualified(plural, group)} {quoted(name)}" if name else qualified(plural, group)
    return Forbidden(f"{subject} is forbidden: {why}", name=name, group=group, kind=plural)


def method_not_supported(verb: str, resource: str, group: str) -> MethodNotSupported:
    """Upstream's NewMethodNotSupported."""
    message = f"{verb} is not supported on resources of kind {quoted(qualified(resource, group))}"
    return MethodNotSupported(message, group=group, kind=resource)


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> Invalid:
    """Upstream's NewInvalid: `Pod "x" is invalid: spec.a: Required value`, several errors in brackets."""
    lines = list(dict.fromkeys(f"{c.field}: {c.message}" if c.field else c.message for c in causes))
    text = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    return Invalid(f"{qualified(kind, group)} {quoted(name)} is invalid: {text}", name=name, group=group, kind=kind, causes=causes)


_BY_REASON: dict[str, type[ApiError]] = {
    c.reason: c
    for c in (
        BadRequest, Unauthorized, Forbidden, NotFound, MethodNotSupported, NotAcceptable, AlreadyExists, Conflict, Expired, Gone,
        RequestEntityTooLarge, UnsupportedMediaType, Invalid, TooManyRequests, InternalError, ServiceUnavailable, ServerTimeout, Timeout,
    )
}  # fmt: skip


def from_status(status: dict[str, Any]) -> ApiError:
    """The error that a metav1.Status body stands for: the client's inverse of `to_status`."""
    reason, code = status.get("reason", ""), int(status.get("code") or 500)
    details = status.get("details") or {}
    error_type = _BY_REASON.get(reason, ApiError)
    return error_type(
        status.get("message") or reason or f"HTTP {code}",
        name=details.get("name", ""),
        group=details.get("group", ""),
        kind=details.get("kind", ""),
        uid=details.get("uid", ""),
        causes=[Cause(c.get("reason", ""), c.get("message", ""), c.get("field", "")) for c in details.get("causes") or ()],
        retry_after=details.get("retryAfterSeconds", 0),
        status_code=code,
        status_reason=reason,
    )
