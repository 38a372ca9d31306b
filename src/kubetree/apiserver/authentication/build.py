"""Who is asking: the authenticators that a configuration asks for, put together in upstream's order.

Follows pkg/kubeapiserver/authenticator: front proxy, client certificate, tokens (file, service accounts, bootstrap), anonymous.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kubetree.api.errors import Unauthorized
from kubetree.api.service_account_keys import SigningKey, VerificationKeys, public_keys
from kubetree.apiserver.authentication.bootstrap_tokens import BootstrapTokens
from kubetree.apiserver.authentication.client_certificates import CertificateVerifier, ClientCertificates
from kubetree.apiserver.authentication.live_objects import LiveObjects
from kubetree.apiserver.authentication.request_headers import HeaderNames, RequestHeaders
from kubetree.apiserver.authentication.service_account_tokens import ServiceAccountTokens
from kubetree.apiserver.authentication.static_tokens import StaticTokens, read_token_file
from kubetree.apiserver.authentication.token_requests import TokenRequests
from kubetree.apiserver.authentication.tokens import AudienceAgnostic, TokenAuthenticator, TokenRejected, TokenUnion, bearer_token
from kubetree.apiserver.authentication.user import ANONYMOUS_USER, AUTHENTICATED_GROUP, MASTERS_GROUP, User
from kubetree.apiserver.config import Config
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.registry import Writer

if TYPE_CHECKING:
    from kubetree.apiserver.context import RequestContext

T = TypeVar("T")

EVERYONE = User("system:unsecured", groups=(MASTERS_GROUP, AUTHENTICATED_GROUP))
"""Who everyone is on a server without authentication."""


class RequestAuthenticator:
    """Asks each authenticator in turn; a credential that is wrong fails the request only when no other one succeeds.

    `lenient`: it never fails; what nobody recognises counts as no credential.
    """

    def __init__(
        self,
        tokens: TokenAuthenticator,
        *,
        proxy: RequestHeaders | None = None,
        certificates: ClientCertificates | None = None,
        fallback: User | None = ANONYMOUS_USER,
        lenient: bool = False,
    ) -> None:
        self.tokens = tokens
        self._proxy = proxy
        self._certificates = certificates
        self._fallback = fallback
        self._lenient = lenient

    async def authenticate(self, ctx: RequestContext) -> User | None:
        """Raises Unauthorized for credentials that are wrong. Without any: `fallback`, None where anonymous requests are not allowed."""
        try:
            return await self._authenticate(ctx)
        except Unauthorized:
            if self._lenient:
                return self._fallback
            raise

    async def _authenticate(self, ctx: RequestContext) -> User | None:
        failed: Exception | None = None
        der = ctx.peer_certificate
        if self._proxy is not None:
            try:
                if (user := self._proxy.authenticate(ctx.headers, der)) is not None:
                    return user
            except Unauthorized as error:
                failed = error
        if self._certificates is not None and der is not None:
            try:
                if (user := self._certificates.authenticate(der)) is not None:
                    return user
            except Unauthorized as error:
                failed = error
        token = bearer_token(ctx.headers)
        if token:
            try:
                verdict = await self.tokens.authenticate_token(token, ())
            except TokenRejected as error:
                raise Unauthorized() from error
            if verdict is not None:
                return verdict.user
            raise Unauthorized()
        if failed is not None:
            raise Unauthorized() from failed
        return self._fallback


@dataclass(frozen=True, slots=True)
class Authentication:
    """`requests` is the middleware's, `requests.tokens` the TokenReview's. `minter` and `keys` are None without key files."""

    requests: RequestAuthenticator
    minter: TokenRequests | None
    keys: VerificationKeys | None
    issuer: str
    audiences: tuple[str, ...]

    def openid_configuration(self, external_address: str) -> bytes | None:
        """The discovery document; `external_address` is host:port of this server. None where tokens are not verified here."""
        if self.keys is None or not self.issuer.startswith("https://"):
            return None
        return self.keys.configuration(self.issuer, f"https://{external_address}/openid/v1/jwks")

    def openid_keys(self) -> bytes | None:
        return None if self.keys is None else self.keys.key_set()


def build_authenticator(
    config: Config,
    lister: Lister,
    writer: Writer,
    *,
    clock: Callable[[], float] = time.time,
    new_uuid: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> Authentication:
    """Reads the key files: raises OSError, ValueError naming the file."""
    audiences = config.api_audiences or config.service_account_issuer
    issuer = config.service_account_issuer[0] if config.service_account_issuer else ""
    keys = _verification_keys(config)
    tokens: list[TokenAuthenticator] = []
    if config.token_auth_file is not None:
        tokens.append(AudienceAgnostic(StaticTokens(read_token_file(config.token_auth_file)), audiences))
    if keys is not None:
        objects = LiveObjects(lister, writer)
        tokens.append(ServiceAccountTokens(keys, config.service_account_issuer, audiences, objects, clock, writer))
    if config.enable_bootstrap_token_auth:
        tokens.append(AudienceAgnostic(BootstrapTokens(lister, clock), audiences))
    minter = None
    if config.service_account_signing_key_file is not None:
        key = _from_file(config.service_account_signing_key_file, SigningKey.from_pem)
        minter = TokenRequests(key, issuer, audiences, writer, clock, new_uuid)
    client_ca = config.tls.client_ca if config.tls is not None else None
    requests = RequestAuthenticator(
        TokenUnion(tokens),
        proxy=_front_proxy(config, clock),
        certificates=None if client_ca is None else ClientCertificates(CertificateVerifier.from_file(client_ca, clock)),
        fallback=EVERYONE if config.always_allow else ANONYMOUS_USER if config.anonymous_auth else None,
        lenient=config.always_allow,
    )
    return Authentication(requests, minter, keys, issuer, tuple(audiences))


def _verification_keys(config: Config) -> VerificationKeys | None:
    """Keys of --service-account-key-file; the signing key's own where none is named, as upstream."""
    files = config.service_account_key_files or tuple(filter(None, (config.service_account_signing_key_file,)))
    keys = [key for path in files for key in _from_file(path, public_keys)]
    return VerificationKeys(keys) if keys else None


def _from_file(path: Path, parse: Callable[[bytes], T]) -> T:
    try:
        return parse(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _front_proxy(config: Config, clock: Callable[[], float]) -> RequestHeaders | None:
    if config.requestheader_client_ca is None:
        return None
    names = HeaderNames(
        config.requestheader_username_headers,
        config.requestheader_uid_headers,
        config.requestheader_group_headers,
        config.requestheader_extra_prefixes,
    )
    verifier = CertificateVerifier.from_file(config.requestheader_client_ca, clock)
    return RequestHeaders(verifier, config.requestheader_allowed_names, names)
