"""What a request carries through the middlewares and the verbs: one object, filled from the outside in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.wire.request_info import Query, RequestInfo

if TYPE_CHECKING:
    from aiohttp import web

    from kubetree.apiserver.audit.record import AuditRecord

NOBODY = User("system:anonymous", groups=("system:unauthenticated",))


@dataclass(slots=True)
class RequestContext:
    """`user` is anonymous until the authentication middleware has set it; `warnings` become `Warning:` headers of the answer."""

    info: RequestInfo
    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    http: web.BaseRequest
    audit_id: str
    user: User = NOBODY
    impersonated_by: User | None = None
    impersonation_constraint: str = ""
    """The narrow verb by which the impersonation was allowed."""
    audit: AuditRecord | None = None
    """None: nothing of this request is recorded."""
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    """Audit annotations."""
    answer_headers: dict[str, str] | None = None
    """What a stream's head must have besides its own headers; complete answers get it afterwards."""
    flow_headers: dict[str, str] | None = None
    """Which flow schema and priority level took the request in; shared."""
    has_begun: Callable[[], None] | None = None
    """To be called by a watch that has sent what it begins with: from then on it takes up nobody's time."""
    waits: dict[str, float] = field(default_factory=dict)
    """Seconds that the request spent waiting for others, by whom: in queues, with webhooks."""
    routed: bool = True
    """False once a filter has answered: such requests are not counted."""
    fresh: bool = True
    """No byte of the answer has been sent: an error can still be rendered as a Status."""

    def first(self, key: str, default: str = "") -> str:
        values = self.query.get(key)
        return values[0] if values else default

    @property
    def facts(self) -> dict[Any, Any]:
        """What follows from the headers alone may be kept here; requests with the same headers share it."""
        try:
            found: dict[Any, Any] = self.http.facts  # type: ignore[attr-defined]
        except AttributeError:
            return {}
        return found

    @property
    def user_agent(self) -> str:
        return self.headers.get("User-Agent", "")

    @property
    def peer_certificate(self) -> bytes | None:
        """The client's certificate as DER, or None. It has been verified against the client CA by TLS when one is there."""
        connection: Any = self.http.protocol
        try:
            certificate: bytes | None = connection.peer_certificate
        except AttributeError:
            return None
        return certificate

    @property
    def peer_chain(self) -> tuple[bytes, ...]:
        """What the client sent besides its certificate, as DER."""
        return getattr(self.http.protocol, "peer_chain", ())

    @property
    def connection(self) -> object:
        """What stays the same for all requests of one connection (hashable): what is learnt of a certificate may be kept by it."""
        return self.http.protocol

    @property
    def remote(self) -> str:
        return self.http.remote or ""


Handler = Callable[[RequestContext], Awaitable["web.StreamResponse"]]
Middleware = Callable[[Handler], Handler]


class Authenticator(Protocol):
    async def authenticate(self, ctx: RequestContext) -> User | None:
        """None: no credentials that this authenticator knows. Raises Unauthorized for credentials that are wrong."""
        ...
