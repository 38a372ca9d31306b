"""An OpenID provider on loopback: discovery, keys that rotate, tokens with any claims, distributed claims. Over TLS."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

Object = dict[str, Any]
_RSA = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
_EC = ec.generate_private_key(ec.SECP256R1())


class Provider:
    """`authority` is the PEM that its certificate is believed by."""

    def __init__(self, authority: str) -> None:
        self.authority = authority
        self.port = 0
        self.keys: list[tuple[str, Any, str]] = [("rsa-0", _RSA[0], "RS256")]
        self.key_requests = 0
        self.documents: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def rotate(self) -> None:
        """From now on another key signs, and only that is published."""
        self.keys = [("rsa-1", _RSA[1], "RS256")]

    def use_elliptic_curve(self) -> None:
        self.keys = [("ec", _EC, "ES256")]

    def token(self, *, key: int = 0, algorithm: str = "", key_id: str | None = None, **claims: Any) -> str:
        name, private, usual = self.keys[key]
        now = time.time()
        usual_claims = {"iss": self.url, "aud": "kubetree", "exp": now + 600, "sub": "jane"}
        payload = {k: v for k, v in {**usual_claims, **claims}.items() if v is not None}
        return jwt.encode(payload, private, algorithm or usual, headers={"kid": name if key_id is None else key_id})

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/keys":
            self.key_requests += 1
            return web.json_response({"keys": [self._published(*key) for key in self.keys]})
        if request.path in self.documents:
            found = self.documents[request.path]
            return web.Response(text=found) if isinstance(found, str) else web.json_response(found)
        if request.path == "/.well-known/openid-configuration":
            return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        return web.Response(status=404)

    def _published(self, name: str, private: Any, algorithm: str) -> Object:
        to_jwk = ECAlgorithm.to_jwk if isinstance(private, ec.EllipticCurvePrivateKey) else RSAAlgorithm.to_jwk
        return {**to_jwk(private.public_key(), as_dict=True), "kid": name, "use": "sig", "alg": algorithm}


@asynccontextmanager
async def openid_provider(directory: Path) -> AsyncIterator[Provider]:
    certificate = _certificate(directory)
    provider = Provider((directory / "provider.crt").read_text())
    app = web.Application()
    app.router.add_get("/{tail:.*}", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate).start()
    provider.port = runner.addresses[0][1]
    try:
        yield provider
    finally:
        await runner.cleanup()


def _certificate(directory: Path) -> ssl.SSLContext:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_EC.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(_EC, hashes.SHA256())
    )
    (directory / "provider.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key = _EC.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "provider.key").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "provider.crt", directory / "provider.key")
    return context
