"""ID tokens of one issuer: signature, issuer, audience and times; then what its claims make of a user.

Follows plugin/pkg/authenticator/token/oidc over go-oidc's IDTokenVerifier, in its order and wording.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import jwt
from jwt.algorithms import get_default_algorithms

from kubetree.api.errors import quoted_all
from kubetree.apiserver.authentication.oidc.claims import ClaimsRefused
from kubetree.apiserver.authentication.oidc.configuration import Issuer
from kubetree.apiserver.authentication.oidc.provider import KeySet, ProviderError
from kubetree.apiserver.authentication.tokens import TokenRejected, Verdict
from kubetree.apiserver.authentication.user import authenticated

Object = dict[str, Any]
_LEEWAY_BEFORE = 300.0
"""Seconds that a token may be used before its nbf: go-oidc's."""
_SIGNERS = get_default_algorithms()
_GOOGLE = "https://accounts.google.com"


class OIDCTokens:
    """`clock` gives seconds since the epoch. `key_set_of` makes the keys of an issuer (also of those that distributed claims come from)."""

    def __init__(
        self, issuer: Issuer, keys: KeySet, algorithms: Sequence[str], clock: Callable[[], float], key_set_of: Callable[[str], KeySet]
    ) -> None:
        self.issuer, self.keys = issuer, keys
        self._algorithms, self._clock, self._key_set_of = tuple(algorithms), clock, key_set_of
        self._others: dict[str, KeySet] = {}

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Verdict | None:
        if unverified_issuer(token) != self.issuer.url:
            return None
        if self.keys.fault:
            raise TokenRejected("oidc: authenticator not initialized")
        try:
            claims = await self._verified(token, self.issuer.url, self.keys)
        except (ValueError, ProviderError) as error:
            raise TokenRejected(f"oidc: verify token: {error}") from error
        try:
            await self._expand(claims)
        except (ValueError, ProviderError) as error:
            raise TokenRejected(f"oidc: could not expand distributed claims: {error}") from error
        try:
            return Verdict(authenticated(self.issuer.mapper.user(claims)))
        except ClaimsRefused as error:
            raise TokenRejected(str(error)) from error

    async def close(self) -> None:
        for keys in (self.keys, *self._others.values()):
            await keys.close()

    async def _verified(self, token: str, issuer: str, keys: KeySet) -> Object:
        """The claims. Raises ValueError, ProviderError."""
        head, payload, _ = token.split(".")
        claims = _decoded(payload)
        if _issuer_of(claims) != issuer:
            raise ValueError(f'oidc: id token issued by a different provider, expected "{issuer}" got "{claims.get("iss", "")}"')
        self._check_audience(claims)
        self._check_times(claims)
        header = _decoded(head)
        algorithm = header.get("alg", "")
        if algorithm not in self._algorithms:
            expected = " ".join(f'"{name}"' for name in self._algorithms)
            raise ValueError(f'oidc: id token signed with unsupported algorithm, expected [{expected}] got "{algorithm}"')
        await self._check_signature(token, str(header.get("kid") or ""), algorithm, keys)
        return claims

    async def _check_signature(self, token: str, key_id: str, algorithm: str, keys: KeySet) -> None:
        """With the keys that are known, then with those of now."""
        seen = keys.fetches
        if _signed_by(token, algorithm, keys.matching(key_id)):
            return
        try:
            await keys.refresh(seen)
        except ProviderError as error:
            raise ProviderError(f"failed to verify signature: {error}") from None
        if not _signed_by(token, algorithm, keys.matching(key_id)):
            raise ValueError("failed to verify signature: failed to verify id token signature")

    def _check_audience(self, claims: Object) -> None:
        stated = claims.get("aud") or []
        stated = [stated] if isinstance(stated, str) else list(stated)
        if not set(self.issuer.audiences).intersection(stated):
            if len(self.issuer.audiences) == 1:
                raise ValueError(f'oidc: expected audience "{self.issuer.audiences[0]}" got {quoted_all(stated)}')
            raise ValueError(f"oidc: expected audience in {quoted_all(sorted(self.issuer.audiences))} got {quoted_all(stated)}")

    def _check_times(self, claims: Object) -> None:
        now = self._clock()
        expires, before = _number(claims, "exp"), _number(claims, "nbf")
        if expires is None or expires < now:
            raise ValueError(f"oidc: token is expired (Token Expiry: {_go_time(expires)})")
        if before is not None and now + _LEEWAY_BEFORE < before:
            raise ValueError(f"oidc: current time {_go_time(now)} before the nbf (not before) time: {_go_time(before)}")

    async def _expand(self, claims: Object) -> None:
        """Groups that the token only says where to find (OpenID Connect Core 5.6.2)."""
        claim = self.issuer.mapper.groups.claim
        if not claim or claim in claims or "_claim_names" not in claims:
            return
        names, sources = claims["_claim_names"], claims.get("_claim_sources")
        if not isinstance(names, dict):
            raise ValueError("oidc: error parsing distributed claim names")
        if not isinstance(sources, dict):
            raise ValueError("oidc: no claim sources" if sources is None else "oidc: could not parse claim sources")
        if claim not in names:
            return
        source = sources.get(names[claim])
        if not isinstance(source, dict):
            raise ValueError(f"id token _claim_names contained a source {names[claim]} missing in _claims_sources")
        if source.get("endpoint"):
            claims[claim] = await self._distributed(claim, str(source["endpoint"]), str(source.get("access_token") or ""))

    async def _distributed(self, claim: str, endpoint: str, access_token: str) -> Any:
        try:
            token = await self.keys.text(endpoint, access_token)
        except ProviderError as error:
            raise ProviderError(f'while getting distributed claim "{claim}": {error}') from None
        issuer = unverified_issuer(token)
        if issuer is None:
            raise ValueError(f'getting untrusted issuer from endpoint {endpoint} failed for claim "{claim}": malformed token')
        keys = self.keys if issuer == self.issuer.url else self._others.setdefault(issuer, self._key_set_of(issuer))
        if not await keys.ready():
            raise ProviderError(f'verifying untrusted issuer {issuer} failed: verifier not initialized for issuer: "{issuer}"')
        try:
            found = await self._verified(token, issuer, keys)
        except ValueError as error:
            raise ValueError(f"verify distributed claim token: {error}") from None
        if claim not in found:
            raise ValueError(f'jwt returned by distributed claim endpoint "{endpoint}" did not contain claim: {claim}')
        return found[claim]


def unverified_issuer(token: str) -> str | None:
    """The `iss` of a token that nobody has verified; None when it is no JWT."""
    parts = token.split(".")
    if len(parts) != 3 or token.lstrip().startswith("{"):
        return None
    try:
        return _issuer_of(_decoded(parts[1]))
    except ValueError:
        return None


def _issuer_of(claims: Object) -> str | None:
    issuer = claims.get("iss")
    if issuer == "accounts.google.com":
        return _GOOGLE
    return issuer if isinstance(issuer, str) else None


def _decoded(part: str) -> Object:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"oidc: malformed jwt: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("oidc: malformed jwt: its payload is no object")
    return found


def _signed_by(token: str, algorithm: str, keys: Sequence[jwt.PyJWK]) -> bool:
    message, _, signature = token.rpartition(".")
    try:
        raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    except (binascii.Error, ValueError):
        return False
    return any(_verifies(message.encode(), raw, algorithm, key) for key in keys)


def _verifies(message: bytes, signature: bytes, algorithm: str, key: jwt.PyJWK) -> bool:
    """A key of another kind than the algorithm's verifies nothing."""
    stated = key._jwk_data.get("alg")
    if stated and stated != algorithm:
        return False
    try:
        signer = _SIGNERS[algorithm]
        return bool(signer.verify(message, signer.prepare_key(key.key), signature))
    except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
        return False


def _number(claims: Object, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"oidc: failed to unmarshal claims: {name} is no number")
    return float(value)


def _go_time(seconds: float | None) -> str:
    if seconds is None:
        return "0001-01-01 00:00:00 +0000 UTC"
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
