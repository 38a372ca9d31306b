"""Client certificates: the common name is the user, the organizations are its groups.

Follows apiserver's request/x509. TLS has already refused certificates of unknown authorities; which of the authorities issued one
(clients or the front proxy) and whether it may authenticate a client is decided here, once a certificate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubetree.api.errors import Unauthorized
from kubetree.apiserver.authentication.user import CREDENTIAL_ID, User, authenticated

_UID = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")
_CLIENT_USAGES = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_CACHE_LIMIT = 4096


class CertificateVerifier:
    """Whether a certificate was issued by one of `authorities` for clients. `clock` gives seconds since the epoch.

    Signatures that were found good are remembered with the certificate.
    """

    def __init__(self, authorities: Sequence[x509.Certificate], clock: Callable[[], float]) -> None:
        self._authorities = authorities
        self._clock = clock
        self._good: dict[bytes, tuple[float, float, x509.Certificate]] = {}

    @classmethod
    def from_file(cls, path: Path, clock: Callable[[], float]) -> CertificateVerifier:
        """`path`: PEM certificates. Raises ValueError when there is none."""
        try:
            return cls(x509.load_pem_x509_certificates(path.read_bytes()), clock)
        except ValueError as error:
            raise ValueError(f"{path} holds no usable PEM certificate: {error}") from error

    def verified(self, der: bytes) -> x509.Certificate:
        """Raises Unauthorized saying why it is not good."""
        known = self._good.get(der)
        if known is None:
            certificate = _loaded(der)
            start, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
            self._check_time(start, end)
            self._check_issuer(certificate)
            if len(self._good) >= _CACHE_LIMIT:
                self._good.clear()
            known = self._good[der] = (start, end, certificate)
        self._check_time(known[0], known[1])
        return known[2]

    def _check_time(self, start: float, end: float) -> None:
        if not start <= self._clock() <= end:
            raise Unauthorized("x509: certificate has expired or is not yet valid")

    def _check_issuer(self, certificate: x509.Certificate) -> None:
        if not any(_issued(certificate, authority) for authority in self._authorities):
            raise Unauthorized("x509: certificate signed by unknown authority")
        if not _for_clients(certificate):
            raise Unauthorized("x509: certificate specifies an incompatible key usage")


class ClientCertificates:
    """DER certificate to user."""

    def __init__(self, verifier: CertificateVerifier) -> None:
        self._verifier = verifier
        self._users: dict[bytes, User | None] = {}

    def authenticate(self, der: bytes) -> User | None:
        """None: the certificate names nobody. Raises Unauthorized for one that these authorities do not stand for."""
        certificate = self._verifier.verified(der)
        try:
            return self._users[der]
        except KeyError:
            if len(self._users) >= _CACHE_LIMIT:
                self._users.clear()
            user = self._users[der] = user_of(certificate, der)
            return user


def user_of(certificate: x509.Certificate, der: bytes) -> User | None:
    """The user that a verified certificate names; None without a common name. Raises Unauthorized for an unusable UID."""
    subject = certificate.subject
    name = common_name(certificate)
    if not name:
        return None
    uids = [str(a.value) for a in subject.get_attributes_for_oid(_UID)]
    if len(uids) > 1 or uids == [""]:
        raise Unauthorized("the certificate must name exactly one UID that is not empty, or none")
    groups = tuple(str(a.value) for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    fingerprint = f"X509SHA256={hashlib.sha256(der).hexdigest()}"
    return authenticated(User(name, uids[0] if uids else "", groups, {CREDENTIAL_ID: (fingerprint,)}))


def common_name(certificate: x509.Certificate | x509.CertificateSigningRequest) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[-1].value) if names else ""


def _loaded(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise Unauthorized(f"x509: malformed certificate: {error}") from error


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _for_clients(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return not _CLIENT_USAGES.isdisjoint(usages)
