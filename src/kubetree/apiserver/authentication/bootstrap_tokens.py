"""Bootstrap tokens (`abcdef.0123456789abcdef`): secrets of kube-system that let a new node ask for its certificate.

Follows plugin/pkg/auth/authenticator/token/bootstrap and cluster-bootstrap's secret utilities.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.apiserver.authentication.tokens import Verdict
from kubetree.apiserver.authentication.user import User, authenticated
from kubetree.apiserver.lister import Lister

SECRET = kind("v1", "Secret")
DEFAULT_GROUP = "system:bootstrappers"
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


class BootstrapTokens:
    """`clock` gives seconds since the epoch."""

    def __init__(self, lister: Lister, clock: Callable[[], float]) -> None:
        self._lister = lister
        self._clock = clock

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Verdict | None:
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        secret = self._lister.get(SECRET, "kube-system", f"bootstrap-token-{match[1]}")
        if secret is None or "deletionTimestamp" in secret["metadata"] or secret.get("type") != "bootstrap.kubernetes.io/token":
            return None
        data = _decoded(secret)
        if not hmac.compare_digest(data.get("token-secret", "").encode(), match[2].encode()) or data.get("token-id") != match[1]:
            return None
        if self._expired(data.get("expiration", "")) or data.get("usage-bootstrap-authentication") != "true":
            return None
        groups = _groups(data.get("auth-extra-groups", ""))
        return None if groups is None else Verdict(authenticated(User(f"system:bootstrap:{match[1]}", groups=groups)))

    def _expired(self, expiration: str) -> bool:
        """A time that cannot be read counts as past: upstream's."""
        if not expiration:
            return False
        try:
            ends = datetime.fromisoformat(expiration)
        except ValueError:
            return True
        return ends.tzinfo is None or ends.timestamp() < self._clock()


def _groups(extra: str) -> tuple[str, ...] | None:
    """The groups, sorted; None when one of them is not a bootstrappers group."""
    if not extra:
        return (DEFAULT_GROUP,)
    names = set(extra.split(","))
    if not all(_GROUP.fullmatch(name) for name in names):
        return None
    return tuple(sorted({DEFAULT_GROUP, *names}))


def _decoded(secret: dict[str, Any]) -> dict[str, str]:
    decoded = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            decoded[key] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return decoded
