"""Tokens that a webhook knows: a TokenReview posted to the server of --authentication-token-webhook-config-file.

Follows plugin/pkg/authenticator/token/webhook, with a memory of its own for its answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kubetree.apiserver.authentication.tokens import TokenRejected, Verdict
from kubetree.apiserver.authentication.user import User, authenticated
from kubetree.apiserver.expiring import Expiring
from kubetree.apiserver.webhooks import CallFailed, Destination, WebhookClient, retried

log = logging.getLogger(__name__)
Object = dict[str, Any]
_GROUP = "authentication.k8s.io"
_TIMEOUT = 30.0


class WebhookTokens:
    """`ttl` in seconds is how long an answer is kept, yes or no (0: not at all); failures to answer are not.

    `own_audiences` are the API server's: what a webhook that says nothing of audiences vouches for.
    """

    def __init__(
        self,
        client: WebhookClient,
        destination: Destination,
        version: str,
        ttl: float,
        own_audiences: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._destination, self._version, self._ttl = client, destination, version, ttl
        self._own = tuple(own_audiences)
        self._secret = os.urandom(32)
        self._known: Expiring[Verdict | None] = Expiring(clock)
        self._asking: dict[bytes, asyncio.Lock] = {}

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Verdict | None:
        """Raises TokenRejected when the webhook says why not, or cannot be asked."""
        key = self._key(token, audiences)
        known = self._known.find(key)
        if known is not None:
            return known[0]
        async with self._asking.setdefault(key, asyncio.Lock()):
            known = self._known.find(key)
            if known is not None:
                return known[0]
            try:
                verdict = await self._ask(token, audiences)
            finally:
                self._asking.pop(key, None)
            if self._ttl:
                self._known.keep(key, verdict, self._ttl)
            return verdict

    async def _ask(self, token: str, audiences: Sequence[str]) -> Verdict | None:
        api_version = f"{_GROUP}/{self._version}"
        spec: Object = {"token": token}
        if audiences:
            spec["audiences"] = list(audiences)
        review = {"kind": "TokenReview", "apiVersion": api_version, "metadata": {}, "spec": spec, "status": {"user": {}}}
        try:
            answer = await retried(partial(self._client.post, self._destination, review, timeout=_TIMEOUT))
        except CallFailed as error:
            log.error("Failed to make webhook authenticator request: %s", error)
            raise TokenRejected(str(error)) from error
        if answer.get("kind", "TokenReview") != "TokenReview" or answer.get("apiVersion", api_version) != api_version:
            raise TokenRejected(f"the webhook answered {answer.get('apiVersion')} {answer.get('kind')}, not a TokenReview of {api_version}")
        status = answer.get("status")
        return self._verdict(status if isinstance(status, dict) else {}, audiences)

    def _verdict(self, status: Object, audiences: Sequence[str]) -> Verdict | None:
        valid: tuple[str, ...] = ()
        if audiences:
            vouched = status.get("audiences") or self._own
            valid = tuple(audience for audience in audiences if audience in vouched)
            if not valid:
                return None
        if not status.get("authenticated"):
            if status.get("error"):
                raise TokenRejected(str(status["error"]))
            return None
        user = status.get("user") or {}
        extra = {key: tuple(values) for key, values in (user.get("extra") or {}).items()}
        return Verdict(
            authenticated(User(user.get("username") or "", user.get("uid") or "", tuple(user.get("groups") or ()), extra)), valid
        )

    def _key(self, token: str, audiences: Sequence[str]) -> bytes:
        """Of the token only a hash is kept."""
        text = "\0".join((token, *audiences))
        return hashlib.blake2b(text.encode(errors="surrogateescape"), key=self._secret, digest_size=24).digest()
