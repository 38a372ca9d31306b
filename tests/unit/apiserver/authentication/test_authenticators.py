"""Client certificates, front proxy headers, static and bootstrap tokens, and their union."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from multidict import CIMultiDict

from kubetree.api.errors import Unauthorized
from kubetree.apiserver.authentication.bootstrap_tokens import BootstrapTokens
from kubetree.apiserver.authentication.build import RequestAuthenticator
from kubetree.apiserver.authentication.client_certificates import CertificateVerifier, ClientCertificates
from kubetree.apiserver.authentication.published import joined
from kubetree.apiserver.authentication.request_headers import HeaderNames, RequestHeaders
from kubetree.apiserver.authentication.static_tokens import StaticTokens, read_token_file
from kubetree.apiserver.authentication.tokens import AudienceAgnostic, TokenRejected, TokenUnion, Verdict, bearer_token
from kubetree.apiserver.authentication.user import User
from kubetree.cluster.certificates import Authority, KeyPair
from listed_objects import ListedObjects

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLIENTS, PROXIES = Authority.create("clients", NOW), Authority.create("front-proxy", NOW)


def der(pair: KeyPair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.decode())


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now.timestamp()


def verifier(authority: Authority, clock: Clock) -> CertificateVerifier:
    return CertificateVerifier([x509.load_pem_x509_certificate(authority.certificate)], clock)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def certificates(clock: Clock) -> ClientCertificates:
    return ClientCertificates(verifier(CLIENTS, clock))


def test_a_certificate_names_user_and_groups(certificates: ClientCertificates) -> None:
    found = certificates.authenticate(der(CLIENTS.client("jane", NOW, groups=["devs", "ops"])))
    assert found is not None
    assert (found.name, found.groups) == ("jane", ("devs", "ops", "system:authenticated"))
    assert found.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")


def test_certificates_end(certificates: ClientCertificates, clock: Clock) -> None:
    pair = der(CLIENTS.client("jane", NOW, lifetime=timedelta(hours=1)))
    assert certificates.authenticate(pair) is not None
    clock.now = NOW + timedelta(hours=2)
    with pytest.raises(Unauthorized, match="expired or is not yet valid"):
        certificates.authenticate(pair)
    clock.now = NOW - timedelta(hours=1)
    with pytest.raises(Unauthorized, match="expired or is not yet valid"):
        certificates.authenticate(pair)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (Authority.create("clients", NOW).client("jane", NOW), "signed by unknown authority"),
        (PROXIES.client("jane", NOW), "signed by unknown authority"),
        (CLIENTS.server("jane", ["jane.example"], NOW), "incompatible key usage"),
    ],
)
def test_certificates_that_are_not_for_clients_of_this_cluster(certificates: ClientCertificates, pair: KeyPair, message: str) -> None:
    with pytest.raises(Unauthorized, match=message):
        certificates.authenticate(der(pair))


HEADERS = CIMultiDict(
    [("X-Remote-User", "jane"), ("x-remote-group", "a"), ("X-Remote-Group", "b"), ("X-Remote-Extra-Scopes%2fx", "1"), ("X-Remote-Uid", "u")]
)
NAMES = HeaderNames(["X-Remote-User"], ["X-Remote-Uid"], ["X-Remote-Group"], ["X-Remote-Extra-"])


def test_the_front_proxy_is_believed(clock: Clock) -> None:
    proxy = RequestHeaders(verifier(PROXIES, clock), ["front-proxy-client"], NAMES)
    found = proxy.authenticate(HEADERS, der(PROXIES.client("front-proxy-client", NOW)))
    assert found == User("jane", "u", ("a", "b", "system:authenticated"))
    assert found is not None and found.extra == {"scopes/x": ("1",)}


@pytest.mark.parametrize(
    ("pair", "message"),
    [(CLIENTS.client("front-proxy-client", NOW), "unknown authority"), (PROXIES.client("other", NOW), "is not in the allowed list")],
)
def test_nobody_else_is_believed(clock: Clock, pair: KeyPair, message: str) -> None:
    proxy = RequestHeaders(verifier(PROXIES, clock), ["front-proxy-client"], NAMES)
    with pytest.raises(Unauthorized, match=message):
        proxy.authenticate(HEADERS, der(pair))
    assert proxy.authenticate(HEADERS, None) is None
    assert proxy.authenticate({}, der(pair)) is None


def test_a_token_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text('secret,jane,1\nother,joe,2,"devs,ops"\n')
    users = read_token_file(path)
    assert users == {"secret": User("jane", "1"), "other": User("joe", "2", ("devs", "ops"))}
    path.write_text("secret,jane\n")
    with pytest.raises(ValueError, match="must have at least 3 columns"):
        read_token_file(path)


def bootstrap_secret(**data: str) -> dict[str, Any]:
    usual = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in (usual | data).items()}
    metadata = {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "bootstrap.kubernetes.io/token", "data": encoded}


TOKEN = "abcdef.0123456789abcdef"


@pytest.mark.parametrize(
    ("data", "token", "groups"),
    [
        ({}, TOKEN, ("system:bootstrappers", "system:authenticated")),
        (
            {"auth-extra-groups": "system:bootstrappers:b,system:bootstrappers:a"},
            TOKEN,
            ("system:bootstrappers", "system:bootstrappers:a", "system:bootstrappers:b", "system:authenticated"),
        ),
        ({"expiration": "2026-01-02T00:00:00Z"}, TOKEN, ("system:bootstrappers", "system:authenticated")),
        ({"expiration": "2025-12-31T00:00:00Z"}, TOKEN, None),
        ({"expiration": "soon"}, TOKEN, None),
        ({"usage-bootstrap-authentication": "false"}, TOKEN, None),
        ({"auth-extra-groups": "system:masters"}, TOKEN, None),
        ({}, "abcdef.0123456789abcdee", None),
        ({}, "ghijkl.0123456789abcdef", None),
        ({}, "not a token", None),
    ],
)
async def test_bootstrap_tokens(clock: Clock, data: dict[str, str], token: str, groups: tuple[str, ...] | None) -> None:
    tokens = BootstrapTokens(ListedObjects(bootstrap_secret(**data)).cached(), clock)
    verdict = await tokens.authenticate_token(token, ())
    assert (None if verdict is None else verdict.user) == (None if groups is None else User("system:bootstrap:abcdef", groups=groups))


class Scripted:
    """Answers what it is told, and counts how often it was asked."""

    def __init__(self, answer: Verdict | TokenRejected | None) -> None:
        self.answer, self.asked = answer, 0

    async def authenticate_token(self, token: str, audiences: Any) -> Verdict | None:
        self.asked += 1
        if isinstance(self.answer, TokenRejected):
            raise self.answer
        return self.answer


JANE = Verdict(User("jane"))


async def test_the_union_remembers_good_tokens_for_ten_seconds() -> None:
    now = 0.0
    inner = Scripted(JANE)
    union = TokenUnion([Scripted(None), Scripted(TokenRejected("bad")), inner], lambda: now)
    for _ in range(3):
        assert await union.authenticate_token("t", ()) is JANE
    assert inner.asked == 1
    now = 11.0
    await union.authenticate_token("t", ())
    assert inner.asked == 2


async def test_the_union_does_not_remember_bad_tokens() -> None:
    inner = Scripted(TokenRejected("bad"))
    union = TokenUnion([inner, Scripted(None)], lambda: 0.0)
    for _ in range(2):
        with pytest.raises(TokenRejected, match="bad"):
            await union.authenticate_token("t", ())
    inner.answer = JANE
    assert await union.authenticate_token("t", ()) is JANE


async def test_tokens_without_audience_are_for_this_server() -> None:
    tokens = AudienceAgnostic(StaticTokens({"t": User("jane")}), ["here"])
    verdict = await tokens.authenticate_token("t", ())
    assert verdict is not None and verdict.audiences == ("here",)
    assert await tokens.authenticate_token("t", ["elsewhere"]) is None


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "bearer abc"}, "abc"),
        ({"Authorization": "Basic abc"}, ""),
        ({"Authorization": "Bearer"}, ""),
        ({"Sec-WebSocket-Protocol": "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.YWJj"}, "abc"),
        ({}, ""),
    ],
)
def test_bearer_tokens_in_headers(headers: Mapping[str, str], token: str) -> None:
    assert bearer_token(headers) == token


class Request:
    def __init__(self, headers: Mapping[str, str] | None = None, certificate: bytes | None = None) -> None:
        self.headers, self.peer_certificate, self.peer_chain = headers or {}, certificate, ()


async def test_a_bad_certificate_does_not_hide_a_good_token(certificates: ClientCertificates) -> None:
    requests = RequestAuthenticator(TokenUnion([StaticTokens({"t": User("jane")})]), certificates=certificates)
    stranger = der(PROXIES.client("x", NOW))
    found = await requests.authenticate(Request({"Authorization": "Bearer t"}, stranger))  # type: ignore[arg-type]
    assert found is not None and found.name == "jane"
    with pytest.raises(Unauthorized):
        await requests.authenticate(Request({}, stranger))  # type: ignore[arg-type]
    with pytest.raises(Unauthorized):
        await requests.authenticate(Request({"Authorization": "Bearer x"}))  # type: ignore[arg-type]
    nobody = await requests.authenticate(Request())  # type: ignore[arg-type]
    assert nobody is not None and nobody.name == "system:anonymous"


async def test_a_server_without_authentication_takes_anyone(certificates: ClientCertificates) -> None:
    everyone = User("everyone")
    requests = RequestAuthenticator(TokenUnion([]), certificates=certificates, fallback=everyone, lenient=True)
    for request in (Request(), Request({"Authorization": "Bearer x"}), Request({}, b"no certificate")):
        assert await requests.authenticate(request) is everyone  # type: ignore[arg-type]


def test_published_trust_of_two_servers_is_joined() -> None:
    one, two = CLIENTS.certificate.decode(), PROXIES.certificate.decode()
    standing = {"client-ca-file": one, "requestheader-username-headers": '["A"]', "requestheader-allowed-names": "[]"}
    ours = {"client-ca-file": two, "requestheader-username-headers": '["B","A"]', "requestheader-allowed-names": '["x"]'}
    found = joined(standing, ours)
    assert found == {
        "client-ca-file": one + two,
        "requestheader-username-headers": '["A","B"]',
        "requestheader-allowed-names": "[]",
    }
    assert joined(found, ours) == found
