"""Bearer tokens: how they travel, the authenticators that know them in turn, and a short memory of their verdicts.

Follows apiserver's token/union and token/cache. Verifying a signature takes 100 us and more; remembering that it was good takes one.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.metrics.exposition import Histogram, family, heading

SUCCESS_TTL = 10.0
"""Seconds that a good token stays good although its secret or pod may be gone: upstream's."""
_CACHE_LIMIT = 16384
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_WEBSOCKET_PREFIX = "base64url.bearer.authorization.k8s.io."


class TokenRejected(Exception):
    """An authenticator recognised the token and found it bad. The text may be shown in a TokenReview."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whom a token stands for. `audiences` are those asked for that it is valid for; empty where the authenticator knows none.

    `warnings` are for whoever uses the token, `annotations` for the audit log.
    """

    user: User
    audiences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict, compare=False)


class TokenAuthenticator(Protocol):
    """One sort of tokens."""

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Verdict | None:
        """None: not a token of this kind. Raises TokenRejected for one that is of this kind and bad."""
        ...


class TokenUnion:
    """The first authenticator that accepts a token wins; what the others said against it counts only when none does."""

    def __init__(self, authenticators: Sequence[TokenAuthenticator], clock: Callable[[], float] = time.monotonic) -> None:
        self._authenticators = tuple(authenticators)
        self._clock = clock
        self._good: dict[tuple[str, tuple[str, ...]], tuple[float, Verdict]] = {}
        self._hits, self._asking = 0, 0
        self._misses = Histogram(_SECONDS)
        self._fetched = {"error": 0, "ok": 0}

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Verdict | None:
        key = (token, tuple(audiences))
        known = self._good.get(key)
        now = self._clock()
        if known is not None:
            if known[0] > now:
                self._hits += 1
                return known[1]
            del self._good[key]
        verdict, outcome = None, "error"
        self._asking += 1
        try:
            verdict = await self._ask(token, audiences)
            outcome = "ok" if verdict is not None else "error"
        finally:
            self._asking -= 1
            self._fetched[outcome] += 1
            self._misses.add(self._clock() - now)
        if verdict is not None:
            if len(self._good) >= _CACHE_LIMIT:
                self._forget(now)
            self._good[key] = (now + SUCCESS_TTL, verdict)
        return verdict

    def lines(self) -> Iterator[str]:
        """How often a token was remembered, and how long it took to find out about the others."""
        prefix, hits = "authentication_token_cache_", Histogram(_SECONDS)
        hits.add_least(self._hits)
        by_status = {"hit": hits, "miss": self._misses}
        asking = [('{status="blocked"}', 0), ('{status="in_flight"}', self._asking)]
        yield from family(f"{prefix}active_fetch_count", "gauge", "[ALPHA] ", asking)
        fetched = [(f'{{status="{status}"}}', n) for status, n in self._fetched.items() if n]
        yield from family(f"{prefix}fetch_total", "counter", "[ALPHA] ", fetched)
        total = [(f'{{status="{status}"}}', found.count) for status, found in by_status.items() if found.count]
        yield from family(f"{prefix}request_total", "counter", "[ALPHA] ", total)
        if total:
            yield from heading(f"{prefix}request_duration_seconds", "histogram", "[ALPHA] ")
        for status, found in by_status.items():
            if found.count:
                yield from found.lines(f"{prefix}request_duration_seconds", f'status="{status}"')

    async def _ask(self, token: str, audiences: Sequence[str]) -> Verdict | None:
        complaints = []
        for authenticator in self._authenticators:
            try:
                verdict = await authenticator.authenticate_token(token, audiences)
            except TokenRejected as error:
                complaints.append(str(error))
                continue
            if verdict is not None:
                return verdict
        if complaints:
            raise TokenRejected(complaints[0] if len(complaints) == 1 else f"[{', '.join(complaints)}]")
        return None

    def _forget(self, now: float) -> None:
        live = {key: item for key, item in self._good.items() if item[0] > now}
        self._good = live if len(live) < _CACHE_LIMIT else {}


def bearer_token(headers: Mapping[str, str]) -> str:
    """The token of `Authorization: Bearer ...`, or of a WebSocket's subprotocol; empty when there is none."""
    authorization = headers.get("Authorization")
    if authorization is not None:
        if authorization[:7] == "Bearer " and authorization.count(" ") == 1:
            return authorization[7:]
        parts = authorization.strip().split(" ")
        return parts[1] if len(parts) > 1 and parts[0].lower() == "bearer" else ""
    protocols = headers.get("Sec-WebSocket-Protocol")
    return _websocket_token(protocols) if protocols else ""


def has_stray_space(headers: Mapping[str, str]) -> bool:
    """`Authorization: Bearer  token`: what follows the second space is no token, which users find hard to see."""
    authorization = headers.get("Authorization")
    return authorization is not None and authorization.strip().lower().startswith("bearer  ")


def _websocket_token(protocols: str) -> str:
    """Browsers cannot set headers on a WebSocket, so upstream takes the token from a subprotocol in unpadded base64url."""
    for protocol in protocols.split(","):
        encoded = protocol.strip()
        if encoded.startswith(_WEBSOCKET_PREFIX):
            encoded = encoded[len(_WEBSOCKET_PREFIX) :]
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""


class AudienceAgnostic:
    """An authenticator that knows nothing of audiences: its tokens are for the API server's own."""

    def __init__(self, authenticator: TokenAuthenticator, own_audiences: Sequence[str]) -> None:
        self._authenticator = authenticator
        self._own = tuple(own_audiences)

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Verdict | None:
        valid = tuple(audience for audience in self._own if audience in audiences) if audiences else self._own
        if not valid and self._own:
            return None
        verdict = await self._authenticator.authenticate_token(token, audiences)
        return None if verdict is None else replace(verdict, audiences=valid)
