"""Signs approved requests with the cluster's CA, for the signers that Kubernetes defines."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from kubetree.api.certificate_requests import is_signed
from kubetree.api.times import format_time
from kubetree.controllers.certificates.authority_files import PEMSource
from kubetree.controllers.certificates.requests import (
    CSR,
    Refused,
    Unusable,
    certificate_of,
    check,
    has_condition,
    parse,
)
from kubetree.controllers.plan import NOTHING, Plan, StatusUpdate, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]
log = logging.getLogger(__name__)

BACKDATE, SHORT = timedelta(minutes=5), timedelta(hours=8)
"""Upstream's: five minutes are little of eight hours."""
SHORTEST = 600

WATCHES = {CSR: own_key}

_KEY_USAGES = {
    "digital signature": "digital_signature",
    "signing": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "data encipherment": "data_encipherment",
    "key agreement": "key_agreement",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
_EXTENDED = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
}


class Signing:
    """`authorities` by the name of the signer that they sign for; `longest` the seconds a certificate may be valid."""

    def __init__(self, authorities: Mapping[str, PEMSource], longest: float) -> None:
        self._authorities = {signer: Current(source) for signer, source in authorities.items()}
        self._longest = longest

    def reconcile(self, snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        csr = snapshot.get(CSR, *key)
        if csr is None or certificate_of(csr):
            return NOTHING
        current = self._authorities.get(csr["spec"]["signerName"])
        if current is None:
            return NOTHING
        if not has_condition(csr, "Approved") or has_condition(csr, "Denied") or has_condition(csr, "Failed"):
            return NOTHING
        status = csr.get("status") or {}
        asked = parse(csr)
        try:
            check(csr["spec"]["signerName"], asked, csr["spec"].get("usages") or ())
        except Refused as refused:
            stamp = format_time(now)
            failed = {"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": str(refused)}
            conditions = [*(status.get("conditions") or ()), failed | {"lastUpdateTime": stamp, "lastTransitionTime": stamp}]
            return plan(StatusUpdate(CSR, csr, {**status, "conditions": conditions}))
        pem = current.authority().sign(asked.parsed, csr["spec"].get("usages") or (), self._lifetime(csr), now)
        return plan(StatusUpdate(CSR, csr, {**status, "certificate": base64.b64encode(pem).decode()}))

    def _lifetime(self, csr: Object) -> timedelta:
        asked = csr["spec"].get("expirationSeconds")
        return timedelta(seconds=self._longest if asked is None else max(SHORTEST, min(asked, self._longest)))


class Current:
    """The authority that a source has now. A pair that cannot sign is left alone, and the one before goes on."""

    def __init__(self, source: PEMSource) -> None:
        self._source = source
        self._pair = source()
        self._authority = SigningAuthority(*self._pair)

    def authority(self) -> SigningAuthority:
        pair = self._source()
        if pair != self._pair:
            try:
                self._authority, self._pair = SigningAuthority(*pair), pair
            except ValueError as error:
                log.error("the new certificate and key of a signing authority cannot be used: %s", error)
        return self._authority


class SigningAuthority:
    """Raises ValueError for a key of another sort."""

    def __init__(self, certificate: bytes, key: bytes) -> None:
        self._authority = x509.load_pem_x509_certificate(certificate)
        loaded = serialization.load_pem_private_key(key, None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError("the signing key must be ECDSA or RSA")
        self._key = loaded

    def sign(self, request: x509.CertificateSigningRequest, usages: Sequence[str], lifetime: timedelta, now: datetime) -> bytes:
        """The certificate, PEM: the request's subject and names, the usages asked for, valid from five minutes ago, and for long ones
        until five minutes early. Raises Unusable."""
        if not is_signed(request):
            raise Unusable("unable to verify certificate request signature")
        last = self._authority.not_valid_after_utc
        if now >= last:
            raise Unusable(f"the signer has expired: NotAfter={format_time(last)}")
        end = min(now + lifetime - (BACKDATE if lifetime >= SHORT else timedelta(0)), last)
        extended = _extended(usages)
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self._authority.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATE)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        if any(usage in _KEY_USAGES for usage in usages):
            builder = builder.add_extension(_key_usage(usages), critical=True)
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        try:
            names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            builder = builder.add_extension(names.value, critical=not list(request.subject))
        except x509.ExtensionNotFound:
            pass
        try:
            own = self._authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
        except x509.ExtensionNotFound:
            pass
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _extended(usages: Sequence[str]) -> list[x509.ObjectIdentifier]:
    """In upstream's order, each once. Raises Unusable for usages that no certificate can hold."""
    unknown = [usage for usage in usages if usage not in _KEY_USAGES and usage not in _EXTENDED]
    if unknown:
        raise Unusable(f"unrecognized usage values: {unknown}")
    wanted = {_EXTENDED[usage] for usage in usages if usage in _EXTENDED}
    return [usage for usage in dict.fromkeys(_EXTENDED.values()) if usage in wanted]


def _key_usage(usages: Sequence[str]) -> x509.KeyUsage:
    flags = dict.fromkeys(_KEY_USAGES.values(), False)
    flags |= {_KEY_USAGES[usage]: True for usage in usages if usage in _KEY_USAGES}
    if not flags["key_agreement"]:  # what the other two say something of
        flags |= {"encipher_only": False, "decipher_only": False}
    return x509.KeyUsage(**flags)


def duty(authorities: Mapping[str, PEMSource], longest: float) -> Duty:
    signing = Signing(authorities, longest)
    return Duty(
        "certificatesigningrequest-signing-controller",
        "certificate-controller",
        WATCHES,
        signing.reconcile,
        account="certificate-controller",
    )
