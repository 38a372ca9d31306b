"""Who is asking: the authenticators that a configuration asks for, put together in upstream's order.

Follows pkg/kubeapiserver/authenticator: front proxy, client certificate, tokens (file, service accounts, bootstrap), anonymous.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kubetree.api.errors import Unauthorized
from kubetree.api.service_account_keys import SigningKey, VerificationKeys, public_keys
from kubetree.apiserver.authentication.bootstrap_tokens import BootstrapTokens
from kubetree.apiserver.authentication.client_certificates import CertificateVerifier, ClientCertificates
from kubetree.apiserver.authentication.live_objects import LiveObjects
from kubetree.apiserver.authentication.oidc.configuration import (
    ALGORITHMS,
    Anonymous,
    AuthenticationConfiguration,
    authentication_of,
    parse_authentication,
)
from kubetree.apiserver.authentication.oidc.group import Issuers
from kubetree.apiserver.authentication.request_headers import HeaderNames, RequestHeaders
from kubetree.apiserver.authentication.service_account_tokens import ServiceAccountTokens
from kubetree.apiserver.authentication.static_tokens import StaticTokens, read_token_file
from kubetree.apiserver.authentication.token_requests import TokenRequests
from kubetree.apiserver.authentication.tokens import (
    AudienceAgnostic,
    TokenAuthenticator,
    TokenRejected,
    TokenUnion,
    bearer_token,
    has_stray_space,
)
from kubetree.apiserver.authentication.user import ANONYMOUS_USER, AUTHENTICATED_GROUP, MASTERS_GROUP, User
from kubetree.apiserver.authentication.webhook_tokens import WebhookTokens
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.metrics.access import Reloads
from kubetree.apiserver.metrics.counters import Counters
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.options.configuration_files import follow_file
from kubetree.apiserver.registry import Writer
from kubetree.apiserver.webhooks import WebhookClient, of_kubeconfig

if TYPE_CHECKING:
    from kubetree.apiserver.context import RequestContext

T = TypeVar("T")
log = logging.getLogger(__name__)
_STRAY_SPACE = "the provided Authorization header contains extra space before the bearer token, and is ignored"

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
        paths: frozenset[str] = frozenset(),
        lenient: bool = False,
    ) -> None:
        """`paths`: where `fallback` is for; empty: everywhere."""
        self.tokens = tokens
        self._proxy = proxy
        self._certificates = certificates
        self._fallback, self._paths = fallback, paths
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
                if (user := self._proxy.authenticate(ctx.headers, der, ctx.peer_chain)) is not None:
                    return user
            except Unauthorized as error:
                failed = error
        if self._certificates is not None and der is not None:
            try:
                if (user := self._certificates.authenticate(der, ctx.peer_chain)) is not None:
                    return user
            except Unauthorized as error:
                failed = error
        token = bearer_token(ctx.headers)
        if token == "" and has_stray_space(ctx.headers):
            ctx.warnings.append(_STRAY_SPACE)
        if token:
            try:
                verdict = await self.tokens.authenticate_token(token, ())
            except TokenRejected as error:
                raise Unauthorized() from error
            if verdict is None:
                raise Unauthorized()
            if verdict.annotations:
                ctx.annotations.update(verdict.annotations)
                ctx.warnings.extend(verdict.warnings)
            return verdict.user
        if failed is not None:
            raise Unauthorized() from failed
        return self._fallback if not self._paths or ctx.path in self._paths else None


@dataclass(frozen=True, slots=True)
class Authentication:
    """`requests` is the middleware's, `requests.tokens` the TokenReview's. `minter` and `keys` are None without key files."""

    requests: RequestAuthenticator
    minter: TokenRequests | None
    keys: VerificationKeys | None
    issuer: str
    audiences: tuple[str, ...]
    jwks_uri: str = ""
    issuers: Issuers | None = None
    run: Callable[[asyncio.TaskGroup], None] | None = None
    """Begins to fetch the keys of OpenID providers, and to follow the configuration file."""
    reloads: Reloads | None = None
    metrics: Callable[[], Iterable[str]] = tuple

    async def close(self) -> None:
        if self.issuers is not None:
            await self.issuers.close()

    def openid_configuration(self, external_address: str) -> bytes | None:
        """The discovery document; `external_address` is host:port of this server. None where tokens are not verified here."""
        if self.keys is None or not self.issuer.startswith("https://"):
            return None
        return self.keys.configuration(self.issuer, self.jwks_uri or f"https://{external_address}/openid/v1/jwks")

    def openid_keys(self) -> bytes | None:
        return None if self.keys is None else self.keys.key_set()


def build_authenticator(
    config: Config,
    lister: Lister,
    writer: Writer,
    client: WebhookClient,
    *,
    clock: Callable[[], float] = time.time,
    new_uuid: Callable[[], str] = lambda: str(uuid.uuid4()),
    counters: Counters | None = None,
) -> Authentication:
    """Reads the key files: raises OSError, ValueError naming the file."""
    counters = counters or Counters()
    audiences = config.api_audiences or config.service_account_issuer
    issuer = config.service_account_issuer[0] if config.service_account_issuer else ""
    keys = _verification_keys(config)
    tokens: list[TokenAuthenticator] = []
    if config.token_auth_file is not None:
        tokens.append(AudienceAgnostic(StaticTokens(read_token_file(config.token_auth_file)), audiences))
    if keys is not None:
        objects = LiveObjects(lister, writer)
        lookup, uses = config.service_account_lookup, counters.account_tokens
        tokens.append(ServiceAccountTokens(keys, config.service_account_issuer, audiences, objects, clock, writer, uses, lookup=lookup))
    if config.enable_bootstrap_token_auth:
        tokens.append(AudienceAgnostic(BootstrapTokens(lister, clock), audiences))
    structured, algorithms = _structured(config)
    issuers = None
    if structured.issuers or config.authentication_config is not None:
        issuers = Issuers(algorithms, clock, time.monotonic)
        tokens.append(AudienceAgnostic(issuers, audiences))
    if config.authentication_token_webhook_config_file is not None:
        destination = of_kubeconfig(config.authentication_token_webhook_config_file)
        version, ttl = config.authentication_token_webhook_version, config.authentication_token_webhook_cache_ttl
        tokens.append(WebhookTokens(client, destination, version, ttl, audiences))
    minter = None
    if config.service_account_signing_key_file is not None:
        key = _from_file(config.service_account_signing_key_file, SigningKey.from_pem)
        longest, extend = int(config.service_account_max_token_expiration), config.service_account_extend_token_expiration
        minter = TokenRequests(key, issuer, audiences, writer, clock, new_uuid, longest=longest, extend=extend)
    client_ca = config.tls.client_ca if config.tls is not None else None
    anonymous = _anonymous(config, structured)
    union = TokenUnion(tokens)
    requests = RequestAuthenticator(
        union,
        proxy=_front_proxy(config, clock),
        certificates=None
        if client_ca is None
        else ClientCertificates(CertificateVerifier.from_file(client_ca, clock), counters.certificates),
        fallback=EVERYONE if config.always_allow else ANONYMOUS_USER if anonymous.enabled else None,
        paths=anonymous.paths if not config.always_allow else frozenset(),
        lenient=config.always_allow,
    )
    path = config.authentication_config
    reloads = Reloads("authentication", socket.gethostname(), path.read_bytes()) if path is not None else None
    run = partial(_run, config, issuers, structured, reloads) if issuers is not None else None
    return Authentication(
        requests, minter, keys, issuer, tuple(audiences), config.service_account_jwks_uri, issuers, run, reloads, union.lines
    )


def _anonymous(config: Config, structured: AuthenticationConfiguration) -> Anonymous:
    """Raises ValueError."""
    if structured.anonymous is not None and config.anonymous_auth is not None:
        told = "--anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file"
        raise ValueError(f"anonymous: Forbidden: {told}")
    return structured.anonymous or Anonymous(config.anonymous_auth is not False)


def _structured(config: Config) -> tuple[AuthenticationConfiguration, Sequence[str]]:
    """What the configuration file or the --oidc-* flags say, and how tokens may be signed. Raises OSError, ValueError."""
    path = config.authentication_config
    if path is not None and config.oidc is not None:
        raise ValueError("authentication-config file and oidc-* flags are mutually exclusive")
    if path is not None:
        return _from_file(path, lambda text: parse_authentication(text, config.service_account_issuer)), ALGORITHMS
    if config.oidc is None:
        return AuthenticationConfiguration(), ()
    found = config.oidc.configuration()
    return authentication_of(found, config.service_account_issuer), config.oidc.signing_algs


def _run(
    config: Config, issuers: Issuers, structured: AuthenticationConfiguration, reloads: Reloads | None, tasks: asyncio.TaskGroup
) -> None:
    issuers.run(structured.issuers, tasks)
    path = config.authentication_config
    if path is None or reloads is None:
        return
    text = path.read_bytes()

    async def reload(text: bytes) -> None:
        new = parse_authentication(text, config.service_account_issuer)
        if new.anonymous != structured.anonymous:
            raise ValueError("anonymous: Forbidden: changed from initial configuration file")
        await issuers.replace(new.issuers)
        log.info("authentication configuration %s taken up", path)

    issuers.also(follow_file(path, text, reload, reloads.count))


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
