"""PodCertificateRequests: what a kubelet asks for a pod, and what a signer may answer. Follows pkg/apis/certificates/validation.

That a certificate begins about now, and that its writer may sign, is checked by admission, which has a clock and an authorizer.
"""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from email.utils import parseaddr
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.times import parse_time
from kubetree.api.validation.errors import OMIT, Errors, each, invalid, not_supported, required, too_long
from kubetree.api.validation.metadata import conditions as condition_list
from kubetree.api.validation.metadata import immutable
from kubetree.api.validation.names import dns_subdomain
from kubetree.api.validation.pem import blocks
from kubetree.api.validation.pods.projections import signer_name, user_annotations

Thing = dict[str, Any]
_LEAST, _MOST_OF_KUBERNETES, _MOST = 3600, 24 * 3600, 91 * 24 * 3600
_KEY_LIMIT, _CHAIN_LIMIT = 10 * 1024, 100 * 1024
_UID_LIMIT = 128
_STATES = ("Issued", "Denied", "Failed")
_REQUEST, _KEY, _PROOF, _CHAIN = "spec.stubPKCS10Request", "spec.pkixPublicKey", "spec.proofOfPossession", "status.certificateChain"
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_UNKNOWN = "unknown public key type; supported types are Ed25519, ECDSA, and RSA"


def create(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    signer = spec.get("signerName") or ""
    signer_name(errs, signer, "spec.signerName")
    user_annotations(errs, spec.get("unverifiedUserAnnotations"), "spec.unverifiedUserAnnotations")
    for what in ("pod", "serviceAccount", "node"):
        name, uid = spec.get(f"{what}Name") or "", spec.get(f"{what}UID") or ""
        each(errs, f"spec.{what}Name", name, dns_subdomain(name))
        if not uid:
            errs.append(invalid(f"spec.{what}UID", uid, "must not be empty"))
        if len(uid) > _UID_LIMIT:
            errs.append(too_long(f"spec.{what}UID", _UID_LIMIT))
    seconds = spec.get("maxExpirationSeconds")
    if seconds is None:
        errs.append(required("spec.maxExpirationSeconds", "must be set"))
        return
    host = signer.partition("/")[0]
    most = _MOST_OF_KUBERNETES if host == "kubernetes.io" or host.endswith(".kubernetes.io") else _MOST
    if not _LEAST <= seconds <= most:
        errs.append(invalid("spec.maxExpirationSeconds", seconds, f"must be in the range [{_LEAST}, {most}]"))
    asked, key, proof = (_decoded(spec.get(name)) for name in ("stubPKCS10Request", "pkixPublicKey", "proofOfPossession"))
    if asked and not key and not proof:
        _stub(errs, asked)
    elif not asked and key and proof:
        _old_key(errs, key, proof, spec)
    else:
        errs.append(invalid("spec", OMIT, "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set"))


def _decoded(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "")
    except (binascii.Error, ValueError):
        return b""


def _key_problem(key: object, curves: str) -> tuple[Any, str]:
    """What to show of it and what is wrong; ('', '') for a key that will do."""
    if isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(key.curve, _CURVES):
        return f"curve {_curve_name(key.curve)}", f"elliptic public keys must use curve {curves}"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size not in (3072, 4096):
        return f"{key.key_size}-bit modulus", "RSA keys must have modulus size 3072 or 4096"
    return "", ""


def _curve_name(curve: ec.EllipticCurve) -> str:
    return "P-224" if isinstance(curve, ec.SECP224R1) else curve.name


def _known(key: object) -> bool:
    return isinstance(key, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey)


def _stub(errs: Errors, data: bytes) -> None:
    if len(data) > _KEY_LIMIT:
        errs.append(too_long(_REQUEST, _KEY_LIMIT))
        return
    try:
        request = x509.load_der_x509_csr(data)
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm):
        errs.append(invalid(_REQUEST, OMIT, "must be a valid PKCS#10 CSR"))
        return
    if not _known(key):
        errs.append(invalid(_REQUEST, OMIT, _UNKNOWN))
        return
    shown, problem = _key_problem(key, "P256, P384, or P521")
    if problem:
        errs.append(invalid(_REQUEST, shown, problem))
    elif not _is_signed(request):
        errs.append(invalid(_REQUEST, OMIT, "invalid signature"))


def _is_signed(request: x509.CertificateSigningRequest) -> bool:
    try:
        return request.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False


def _old_key(errs: Errors, data: bytes, proof: bytes, spec: Thing) -> None:
    for path, value in ((_KEY, data), (_PROOF, proof)):
        if len(value) > _KEY_LIMIT:
            errs.append(too_long(path, _KEY_LIMIT))
            return
    try:
        key: object = serialization.load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        errs.append(invalid(_KEY, spec["pkixPublicKey"], "must be a valid PKIX-serialized public key"))
        return
    if not _known(key):
        errs.append(invalid(_KEY, spec["pkixPublicKey"], _UNKNOWN))
        return
    shown, problem = _key_problem(key, "P256 or P384")
    if problem:
        errs.append(invalid(_KEY, shown, problem))
    elif not _proves(key, proof, (spec.get("podUID") or "").encode()):
        errs.append(invalid(_PROOF, OMIT, "could not verify proof-of-possession signature"))


def _proves(key: object, proof: bytes, uid: bytes) -> bool:
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(proof, uid)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(proof, uid, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(proof, uid, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def update(errs: Errors, new: Thing, old: Thing) -> None:
    immutable(errs, new.get("spec"), old.get("spec"), "spec", struct="certificates.PodCertificateRequestSpec")


def status(errs: Errors, new: Thing, old: Thing) -> None:
    now, before = new.get("status") or {}, old.get("status") or {}
    if errs:
        return
    conditions, path, known = now.get("conditions") or [], "status.conditions", 0
    for i, condition in enumerate(conditions):
        sort = condition.get("type") or ""
        if sort not in _STATES:
            errs.append(not_supported(f"{path}.[{i}].type", sort, _STATES))
            continue
        known += 1
        if known > 1:
            errs.append(invalid(f"{path}.[{i}].type", sort, 'There may be at most one condition with type "Issued", "Denied", or "Failed"'))
        if condition.get("status") != "True":
            errs.append(not_supported(f"{path}.[{i}].status", condition.get("status") or "", ("True",)))
    condition_list(errs, conditions, path)
    if errs:
        return
    if _state(before):
        if not semantic_equal(now, before):
            errs.append(invalid("status", OMIT, "immutable after PodCertificateRequest is issued, denied, or failed"))
    elif _state(now) in ("Denied", "Failed"):
        if any(value for name, value in now.items() if name != "conditions"):
            why = "non-condition status fields must be empty when denying or failing the PodCertificateRequest"
            errs.append(invalid("status", OMIT, why))
    elif _state(now):
        _issued(errs, now, new.get("spec") or {}, old.get("spec") or {})
    elif not semantic_equal(now, before):
        errs.append(invalid("status", OMIT, 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"'))


def _state(found: Thing) -> str:
    return next((c["type"] for c in found.get("conditions") or () if c.get("type") in _STATES and c.get("status") == "True"), "")


def _issued(errs: Errors, now: Thing, spec: Thing, old_spec: Thing) -> None:
    text = now.get("certificateChain") or ""
    if len(text) > _CHAIN_LIMIT:
        errs.append(too_long(_CHAIN, _CHAIN_LIMIT))
        return
    chain = list(blocks(text))
    if not chain:
        errs.append(invalid(_CHAIN, text, "issued certificate chain must contain at least one certificate"))
        return
    if chain[0].type != "CERTIFICATE":
        errs.append(invalid(_CHAIN, text, "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"))
        return
    try:
        leaf = x509.load_der_x509_certificate(chain[0].data)
    except ValueError:
        errs.append(invalid(_CHAIN, text, "leaf certificate does not parse as valid X.509"))
        return
    _names(errs, leaf)
    if not _is_of(leaf, old_spec):
        errs.append(invalid(_CHAIN, text, "leaf certificate was not issued to the requested public key"))
        return
    _times(errs, now, leaf, spec)
    if errs:
        return
    for block in chain[1:]:
        if block.type != "CERTIFICATE":
            errs.append(invalid(_CHAIN, text, "issued certificate chain must consist entirely of CERTFICATE PEM blocks"))
            return
        try:
            x509.load_der_x509_certificate(block.data)
        except ValueError:
            errs.append(invalid(_CHAIN, text, "intermediate certificate does not parse as valid X.509"))
            return


def _names(errs: Errors, leaf: x509.Certificate) -> None:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in names.get_values_for_type(x509.DNSName):
        if not name:
            errs.append(invalid(_CHAIN, name, "leaf certificate should not contain empty DNSName"))
        if ".." in name:
            errs.append(invalid(_CHAIN, name, "leaf certificate's DNSName should not contain '..'"))
        if name.startswith(".") or name.endswith("."):
            errs.append(invalid(_CHAIN, name, "leaf certificate's DNSName should not start or end with '.'"))
    for address in names.get_values_for_type(x509.RFC822Name):
        if "@" not in parseaddr(address)[1]:
            errs.append(invalid(_CHAIN, address, "leaf certificate should not contain invalid EmailAddress"))


def _is_of(leaf: x509.Certificate, spec: Thing) -> bool:
    asked = _decoded(spec.get("stubPKCS10Request"))
    try:
        key: Any = (
            x509.load_der_x509_csr(asked).public_key() if asked else serialization.load_der_public_key(_decoded(spec["pkixPublicKey"]))
        )
    except (ValueError, UnsupportedAlgorithm):
        return False
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return bool(key.public_bytes(*form) == leaf.public_key().public_bytes(*form))


def _nanoseconds(span: timedelta) -> int:
    """As Go prints a duration among values."""
    return int(span.total_seconds()) * 1_000_000_000


def _times(errs: Errors, now: Thing, leaf: x509.Certificate, spec: Thing) -> None:
    consistent = "must be present and consistent with the issued certificate"
    wanted = {
        "notBefore": consistent,
        "notAfter": consistent,
        "beginRefreshAt": "must be present and in the range [notbefore+10min, notafter-10min]",
    }
    missing = [required(f"status.{name}", why) for name, why in wanted.items() if not now.get(name)]
    errs.extend(missing)
    if errs:
        return
    begins, ends, refresh = (parse_time(now[name]) for name in wanted)
    first, last = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    lifetime = last - first
    if begins != first:
        errs.append(invalid("status.notBefore", now["notBefore"], "must be set to the NotBefore time encoded in the leaf certificate"))
    elif ends != last:
        errs.append(invalid("status.notAfter", now["notAfter"], "must be set to the NotAfter time encoded in the leaf certificate"))
    elif lifetime < timedelta(hours=1):
        errs.append(invalid(_CHAIN, _nanoseconds(lifetime), "leaf certificate lifetime must be >= 1 hour"))
    elif lifetime > timedelta(seconds=spec["maxExpirationSeconds"]):
        why = f"leaf certificate lifetime must be <= spec.maxExpirationSeconds ({spec['maxExpirationSeconds']})"
        errs.append(invalid(_CHAIN, _nanoseconds(lifetime), why))
    elif refresh < begins + timedelta(minutes=10):
        errs.append(invalid("status.beginRefreshAt", now["beginRefreshAt"], "must be at least 10 minutes after status.notBefore"))
    elif refresh > ends - timedelta(minutes=10):
        errs.append(invalid("status.beginRefreshAt", now["beginRefreshAt"], "must be at least 10 minutes before status.notAfter"))
