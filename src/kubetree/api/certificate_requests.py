"""The signature of a request for a certificate (PKCS#10), as Go's crypto/x509 checks it. Knows nothing of who may ask for what."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa


def is_signed(request: x509.CertificateSigningRequest) -> bool:
    """Whether the key of the request has signed it. SHA-1 is good enough for this, as it is for Go; newer OpenSSL's own check refuses it."""
    key, signed, signature = request.public_key(), request.tbs_certrequest_bytes, request.signature
    try:
        digest = request.signature_hash_algorithm
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
        elif isinstance(key, rsa.RSAPublicKey) and digest is not None:
            scheme = request.signature_algorithm_parameters
            if not isinstance(scheme, padding.PKCS1v15 | padding.PSS):
                return False
            key.verify(signature, signed, scheme, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, signed, ec.ECDSA(digest))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
