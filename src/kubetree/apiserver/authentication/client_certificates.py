"""Client certificates: the common name is the user, the organizations are its groups.

Follows apiserver's request/x509. TLS has already refused certificates of unknown authorities; which of the authorities issued one
(clients or the front proxy) and whether it may authenticate a client is decided here, once a certificate.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from kubetree.api.errors import Unauthorized
from kubetree.apiserver.authentication.user import CREDENTIAL_ID, User, authenticated
from kubetree.apiserver.metrics.exposition import Histogram

_UID = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")
_CLIENT_USAGES = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_CACHE_LIMIT = 4096
_LONGEST_CHAIN = 4
_UNDERSTOOD = {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE}
_LOOK_EVERY = 1.0
"""Seconds between looks at the file of authorities."""
log = logging.getLogger(__name__)


class CertificateVerifier:
    """Whether a certificate was issued by one of `authorities` for clients. `clock` gives seconds since the epoch.

    Signatures that were found good are remembered with the certificate. Authorities that came from a file are read again when it changes.
    """

    def __init__(self, authorities: Sequence[x509.Certificate], clock: Callable[[], float], path: Path | None = None) -> None:
        self._authorities = authorities
        self._clock = clock
        self._path = path
        self._seen = _stamp(path)
        self._look_at = self._clock() + _LOOK_EVERY if path is not None else float("inf")
        self.asked_at = 0.0
        self._good: dict[bytes, tuple[float, float, x509.Certificate]] = {}

    @classmethod
    def from_file(cls, path: Path, clock: Callable[[], float]) -> CertificateVerifier:
        """`path`: PEM certificates. Raises ValueError when there is none."""
        try:
            return cls(x509.load_pem_x509_certificates(path.read_bytes()), clock, path)
        except ValueError as error:
            raise ValueError(f"{path} holds no usable PEM certificate: {error}") from error

    def verified(self, der: bytes, chain: Sequence[bytes] = ()) -> x509.Certificate:
        """`chain` are certificates that may stand between it and an authority. Raises Unauthorized saying why it is not good."""
        now = self.asked_at = self._clock()
        if now >= self._look_at:
            self._look(now)
        known = self._good.get(der)
        if known is None:
            certificate = _loaded(der)
            start, end = _validity(certificate)
            _check_time(now, start, end)
            between = self._between(certificate, [_loaded(sent) for sent in chain[:_LONGEST_CHAIN]], now)
            if between is None:
                raise Unauthorized("x509: certificate signed by unknown authority")
            if not all(map(_for_clients, (certificate, *between))):
                raise Unauthorized("x509: certificate specifies an incompatible key usage")
            for start_of, end_of in map(_validity, between):
                start, end = max(start, start_of), min(end, end_of)
            if len(self._good) >= _CACHE_LIMIT:
                self._good.clear()
            known = self._good[der] = (start, end, certificate)
        _check_time(now, known[0], known[1])
        return known[2]

    def _look(self, now: float) -> None:
        """Takes up a changed file; one that cannot be read leaves the authorities as they are."""
        self._look_at = now + _LOOK_EVERY
        if self._path is None:
            return
        try:
            seen = _stamp(self._path)
            if seen == self._seen:
                return
            self._authorities = x509.load_pem_x509_certificates(self._path.read_bytes())
            self._good.clear()
            self._seen = seen
        except (OSError, ValueError) as error:
            log.error("%s cannot be used, the authorities stay as they are: %s", self._path, error)

    def _between(self, certificate: x509.Certificate, sent: Sequence[x509.Certificate], now: float) -> tuple[x509.Certificate, ...] | None:
        """Which of those sent lead from the certificate to an authority, the shortest way; None when none do. Each is looked at once, so
        that nobody can make this long."""
        waiting: list[tuple[x509.Certificate, tuple[x509.Certificate, ...]]] = [(certificate, ())]
        left = list(sent)
        for found, between in waiting:
            if any(_issued(found, authority) for authority in self._authorities):
                return between
            for other in list(left):
                start, end = _validity(other)
                if start <= now <= end and _may_issue(other, len(between)) and _issued(found, other):
                    left.remove(other)
                    waiting.append((other, (*between, other)))
        return None


class ClientCertificates:
    """DER certificate to user. `lifetimes` is told how long each that comes is still good for."""

    def __init__(self, verifier: CertificateVerifier, lifetimes: Histogram | None = None) -> None:
        self._verifier, self._lifetimes = verifier, lifetimes
        self._users: dict[bytes, tuple[User | None, float]] = {}

    def authenticate(self, der: bytes, chain: Sequence[bytes] = ()) -> User | None:
        """None: the certificate names nobody. Raises Unauthorized for one that these authorities do not stand for."""
        certificate = self._verifier.verified(der, chain)
        known = self._users.get(der)
        if known is None:
            if len(self._users) >= _CACHE_LIMIT:
                self._users.clear()
            known = self._users[der] = user_of(certificate, der), _validity(certificate)[1]
        if self._lifetimes is not None:
            self._lifetimes.add(known[1] - self._verifier.asked_at)
        return known[0]


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
    """The user name of a client certificate; '' where it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[-1].value) if names else ""


def _stamp(path: Path | None) -> tuple[int, ...]:
    """Changes with the file."""
    if path is None:
        return ()
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _validity(certificate: x509.Certificate) -> tuple[float, float]:
    """Seconds since the epoch."""
    return certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def _may_issue(certificate: x509.Certificate, below: int) -> bool:
    """Whether it is an authority's, with `below` others between it and the client's. What it must not be used without understanding, names
    that it is limited to for one, is not understood here."""
    extensions = certificate.extensions
    if any(found.critical and found.oid not in _UNDERSTOOD for found in extensions):
        return False
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    try:
        signs = extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        signs = True
    return constraints.ca and signs and (constraints.path_length is None or below <= constraints.path_length)


def _check_time(now: float, start: float, end: float) -> None:
    if not start <= now <= end:
        raise Unauthorized("x509: certificate has expired or is not yet valid")


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
