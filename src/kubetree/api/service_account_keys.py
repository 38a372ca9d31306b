"""The keys of service-account tokens: loading, naming, signing, verifying, and publishing them as a JSON Web Key Set. Pure.

The API server mints and verifies with them; the token controller signs the tokens kept in secrets. Key ids, algorithms and documents follow pkg/serviceaccount/jwt.go and openidmetadata.go.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

LEGACY_ISSUER = "kubernetes/serviceaccount"
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_JWS = jwt.PyJWS()

_Public = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
_Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key; `key_id` is upstream's, a hash of its DER form, and names it in tokens and in the key set."""

    key: _Public
    algorithm: str
    key_id: str

    @classmethod
    def of(cls, key: _Public) -> VerificationKey:
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        digest = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        return cls(key, "RS256" if isinstance(key, rsa.RSAPublicKey) else _CURVES[key.curve.name], digest)

    def to_jwk(self) -> dict[str, Any]:
        if isinstance(self.key, rsa.RSAPublicKey):
            fields = RSAAlgorithm.to_jwk(self.key, as_dict=True)
        else:
            fields = ECAlgorithm.to_jwk(self.key, as_dict=True)
        wanted = {k: v for k, v in fields.items() if k in ("kty", "n", "e", "crv", "x", "y")}
        return {"use": "sig", "kid": self.key_id, "alg": self.algorithm, **wanted}


class VerificationKeys:
    """All keys whose tokens are accepted."""

    def __init__(self, keys: Sequence[_Public]) -> None:
        self.keys = tuple({key.key_id: key for key in map(VerificationKey.of, keys)}.values())

    def verify(self, token: str) -> bytes | None:
        """The payload of a token that one of the keys signed, else None. `kid`, where there is one, chooses the key."""
        try:
            wanted = _JWS.get_unverified_header(token).get("kid", "")
        except jwt.InvalidTokenError:
            return None
        for key in self.keys:
            if wanted and key.key_id != wanted:
                continue
            try:
                payload: bytes = _JWS.decode(token, key.key, algorithms=[key.algorithm])
            except jwt.InvalidTokenError:
                continue
            return payload
        return None

    def key_set(self) -> bytes:
        """The document at /openid/v1/jwks."""
        return json.dumps({"keys": [key.to_jwk() for key in self.keys]}, separators=(",", ":")).encode()

    def configuration(self, issuer: str, jwks_uri: str) -> bytes:
        """The document at /.well-known/openid-configuration."""
        document = {
            "issuer": issuer,
            "jwks_uri": jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({key.algorithm for key in self.keys}),
        }
        return json.dumps(document, separators=(",", ":")).encode()


class SigningKey:
    """A private key, RSA or ECDSA, whose algorithm follows from it."""

    def __init__(self, key: _Private) -> None:
        self._key = key
        self.public = VerificationKey.of(key.public_key())

    @classmethod
    def from_pem(cls, data: bytes) -> SigningKey:
        """Raises ValueError for what is no RSA or ECDSA key."""
        key = serialization.load_pem_private_key(data, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError(f"a service-account signing key must be RSA or ECDSA, not {type(key).__name__}")
        return cls(key)

    def sign(self, claims: dict[str, Any]) -> str:
        payload = json.dumps(claims, separators=(",", ":")).encode()
        return _JWS.encode(payload, self._key, algorithm=self.public.algorithm, headers={"kid": self.public.key_id, "typ": ""})


def legacy_token(key: SigningKey, account: dict[str, Any], secret: dict[str, Any]) -> str:
    """The unbounded token that a secret of type kubernetes.io/service-account-token holds for its service account."""
    prefix, metadata = "kubernetes.io/serviceaccount/", account["metadata"]
    return key.sign(
        {
            "iss": LEGACY_ISSUER,
            prefix + "namespace": metadata["namespace"],
            prefix + "secret.name": secret["metadata"]["name"],
            prefix + "service-account.name": metadata["name"],
            prefix + "service-account.uid": metadata["uid"],
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
    )


def public_keys(data: bytes) -> list[_Public]:
    """The public keys of the public keys, private keys and certificates in PEM. Raises ValueError when there is none."""
    keys = [key for block in _pem_blocks(data) if (key := _public_key(block)) is not None]
    if not keys:
        raise ValueError("there is no RSA or ECDSA key in PEM")
    return keys


def _pem_blocks(data: bytes) -> list[bytes]:
    return [b"-----BEGIN" + part for part in data.split(b"-----BEGIN")[1:]]


def _public_key(block: bytes) -> _Public | None:
    key: object
    if b"PRIVATE KEY-----" in block:
        private = serialization.load_pem_private_key(block, None)
        key = private.public_key() if isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else None
    elif block.startswith(b"-----BEGIN CERTIFICATE"):
        key = x509.load_pem_x509_certificate(block).public_key()
    elif block.startswith((b"-----BEGIN PUBLIC KEY", b"-----BEGIN RSA PUBLIC KEY")):
        key = serialization.load_pem_public_key(block)
    else:
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) else None
