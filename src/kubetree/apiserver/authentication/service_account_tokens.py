"""Verifying service-account tokens: bound ones of the TokenRequest API and the legacy ones kept in secrets.

Follows pkg/serviceaccount (jwt.go, claims.go, legacy.go). A bound token lives as long as its service account and the pod,
secret or node that it is bound to, however long its own expiry is.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from kubetree.api.errors import ApiError
from kubetree.api.kind_table import kind
from kubetree.api.service_account_keys import LEGACY_ISSUER, VerificationKeys
from kubetree.apiserver.authentication.live_objects import LiveObjects
from kubetree.apiserver.authentication.tokens import TokenRejected, Verdict
from kubetree.apiserver.authentication.user import (
    CREDENTIAL_ID,
    NODE_NAME,
    NODE_UID,
    POD_NAME,
    POD_UID,
    User,
    authenticated,
    service_account_groups,
    service_account_name,
    split_service_account,
)
from kubetree.apiserver.registry import Writer
from kubetree.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)

NODE, POD, SECRET, SERVICE_ACCOUNT = (kind("v1", name) for name in ("Node", "Pod", "Secret", "ServiceAccount"))
LAST_USED = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
LEEWAY = 60.0
"""Seconds that clocks may differ: go-jose's default."""
_INVALIDATED = "service account token has been invalidated"

Claims = dict[str, Any]


class ServiceAccountTokens:
    """`issuers` are all accepted ones, `implicit_audiences` the API server's own. `clock` gives seconds since the epoch.

    `writer` notes the use of legacy tokens in their secrets (None: it is not noted).
    """

    def __init__(
        self,
        keys: VerificationKeys,
        issuers: Sequence[str],
        implicit_audiences: Sequence[str],
        objects: LiveObjects,
        clock: Callable[[], float],
        writer: Writer | None = None,
    ) -> None:
        self._keys = keys
        self._issuers = frozenset(issuers)
        self._implicit = tuple(implicit_audiences)
        self._objects = objects
        self._clock = clock
        self._writer = writer

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Verdict | None:
        issuer = _unverified_issuer(token)
        legacy = issuer == LEGACY_ISSUER
        if not legacy and issuer not in self._issuers:
            return None
        payload = self._keys.verify(token)
        if payload is None:
            raise TokenRejected("invalid signature, no keys found")
        claims = _claims(payload)
        if claims is None or claims.get("iss") != issuer:
            raise TokenRejected(f'token issuer "{issuer}" is invalid')
        valid = self._audiences(claims, audiences)
        user = await (self._legacy_user(token, claims) if legacy else self._bound_user(claims))
        return Verdict(authenticated(user), valid)

    def _audiences(self, claims: Claims, wanted: Sequence[str]) -> tuple[str, ...]:
        stated = claims.get("aud") or self._implicit
        stated = (stated,) if isinstance(stated, str) else tuple(stated)
        wanted = wanted or self._implicit
        valid = tuple(audience for audience in stated if audience in wanted)
        if not valid and self._implicit:
            raise TokenRejected(f"token audiences {_quoted(stated)} is invalid for the target audiences {_quoted(wanted)}")
        return valid

    async def _bound_user(self, claims: Claims) -> User:
        now = self._clock()
        _check_times(claims, now)
        private = claims.get("kubernetes.io") or {}
        namespace, account = private.get("namespace", ""), private.get("serviceaccount") or {}
        name = account.get("name", "")
        found = await self._objects.get(SERVICE_ACCOUNT, namespace, name)
        if found is None:
            raise TokenRejected(f'serviceaccounts "{name}" not found')
        uid = found["metadata"].get("uid", "")
        if uid != account.get("uid", ""):
            raise TokenRejected(f"service account UID ({uid}) does not match claim ({account.get('uid', '')})")
        if _deleted_before(found, now - LEEWAY):
            raise TokenRejected(f"service account {namespace}/{name} has been deleted")
        extra: dict[str, tuple[str, ...]] = {}
        if claims.get("jti"):
            extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
        secret, pod, node = private.get("secret"), private.get("pod"), private.get("node")
        if secret:
            await self._check_bound(SECRET, namespace, secret, "secret UID ({}) does not match service account secret ref claim ({})", now)
        if pod:
            await self._check_bound(POD, namespace, pod, "pod UID ({}) does not match service account pod ref claim ({})", now)
            extra |= {POD_NAME: (pod.get("name", ""),), POD_UID: (pod.get("uid", ""),)}
        if node:
            if not pod:
                await self._check_bound(NODE, "", node, "node UID ({}) does not match service account node ref claim ({})", now)
            extra[NODE_NAME] = (node.get("name", ""),)
            if node.get("uid"):
                extra[NODE_UID] = (node["uid"],)
        return User(service_account_name(namespace, name), uid, service_account_groups(namespace), extra)

    async def _check_bound(self, bound_kind: Any, namespace: str, reference: dict[str, str], mismatch: str, now: float) -> None:
        found = await self._objects.get(bound_kind, namespace, reference.get("name", ""))
        if found is None:
            raise TokenRejected(_INVALIDATED)
        uid = found["metadata"].get("uid", "")
        if uid != reference.get("uid", ""):
            raise TokenRejected(mismatch.format(uid, reference.get("uid", "")))
        if _deleted_before(found, now - LEEWAY):
            raise TokenRejected(_INVALIDATED)

    async def _legacy_user(self, token: str, claims: Claims) -> User:
        prefix = "kubernetes.io/serviceaccount/"
        fields = ("namespace", "secret.name", "service-account.name", "service-account.uid")
        namespace, secret_name, name, uid = (str(claims.get(prefix + field) or "") for field in fields)
        named = zip((claims.get("sub"), namespace, secret_name, name, uid), _LEGACY_CLAIMS, strict=True)
        missing = next((claim for value, claim in named if not value), None)
        if missing:
            raise TokenRejected(f"{missing} claim is missing")
        if split_service_account(claims["sub"]) != (namespace, name):
            raise TokenRejected("sub claim is invalid")
        secret = await self._objects.get(SECRET, namespace, secret_name)
        if secret is None or "deletionTimestamp" in secret["metadata"]:
            raise TokenRejected("Token has been invalidated")
        if not hmac.compare_digest(_secret_token(secret), token.encode()):
            raise TokenRejected("Token does not match server's copy")
        account = await self._objects.get(SERVICE_ACCOUNT, namespace, name)
        if account is None:
            raise TokenRejected(f'serviceaccounts "{name}" not found')
        if "deletionTimestamp" in account["metadata"]:
            raise TokenRejected(f"ServiceAccount {namespace}/{name} has been deleted")
        if account["metadata"].get("uid", "") != uid:
            raise TokenRejected(f"ServiceAccount UID ({account['metadata'].get('uid', '')}) does not match claim ({uid})")
        if (secret["metadata"].get("labels") or {}).get(INVALID_SINCE):
            raise TokenRejected(
                f"the token in secret {namespace}/{secret_name} for service account {namespace}/{name} has been marked invalid. "
                "Use tokens from the TokenRequest API or manually created secret-based tokens, "
                f"or remove the '{INVALID_SINCE}' label from the secret to temporarily allow use of this token"
            )
        await self._note_use(secret)
        return User(service_account_name(namespace, name), uid, service_account_groups(namespace))

    async def _note_use(self, secret: dict[str, Any]) -> None:
        """Labels the secret with today's date, so that tokens that nobody uses any more can be found and removed."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        today, tomorrow = (f"{now + timedelta(days=days):%Y-%m-%d}" for days in (0, 1))
        if self._writer is None or (secret["metadata"].get("labels") or {}).get(LAST_USED) in (today, tomorrow):
            return
        uid = secret["metadata"].get("uid")

        def change(found: dict[str, Any]) -> dict[str, Any] | None:
            metadata = found["metadata"]
            labels = {**(metadata.get("labels") or {}), LAST_USED: today}
            return found | {"metadata": metadata | {"labels": labels}} if metadata.get("uid") == uid else None

        try:
            await self._writer.update(SECRET, secret["metadata"]["namespace"], secret["metadata"]["name"], change)
        except (ApiError, StoreUnavailable) as error:
            log.warning("a legacy token's last use could not be noted: %s", error)


_LEGACY_CLAIMS = ("sub", "namespace", "secretName", "serviceAccountName", "serviceAccountUID")


def _unverified_issuer(token: str) -> str | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = _claims(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    issuer = (claims or {}).get("iss")
    return issuer if isinstance(issuer, str) else None


def _claims(payload: bytes) -> Claims | None:
    try:
        claims = json.loads(payload)
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


def _check_times(claims: Claims, now: float) -> None:
    if "nbf" in claims and now + LEEWAY < claims["nbf"]:
        raise TokenRejected("service account token is not valid yet")
    if "exp" in claims and now - LEEWAY > claims["exp"]:
        raise TokenRejected("service account token has expired")
    if "iat" in claims and now + LEEWAY < claims["iat"]:
        raise TokenRejected("service account token is issued in the future")


def _deleted_before(obj: dict[str, Any], moment: float) -> bool:
    deleted = obj["metadata"].get("deletionTimestamp")
    return deleted is not None and datetime.fromisoformat(deleted).timestamp() < moment


def _secret_token(secret: dict[str, Any]) -> bytes:
    return base64.b64decode((secret.get("data") or {}).get("token") or "")


def _quoted(names: Sequence[str]) -> str:
    """Go's %q of a slice."""
    return f"[{' '.join(json.dumps(name) for name in names)}]"
