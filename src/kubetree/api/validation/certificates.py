"""Requests for certificates: who may sign, for what use, and what approvers and signers may add."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from kubetree.api.certificate_requests import is_signed
from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.diff import diff
from kubetree.api.validation.errors import Errors, Object, duplicate, forbidden, invalid, not_supported, quote, required
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.pods.projections import signer_name

Thing = dict[str, Any]
_USAGES = tuple(
    sorted(
        (
            "signing",
            "digital signature",
            "content commitment",
            "key encipherment",
            "key agreement",
            "data encipherment",
            "cert sign",
            "crl sign",
            "encipher only",
            "decipher only",
            "any",
            "server auth",
            "client auth",
            "code signing",
            "email protection",
            "s/mime",
            "ipsec end system",
            "ipsec tunnel",
            "ipsec user",
            "timestamping",
            "ocsp signing",
            "microsoft sgc",
            "netscape sgc",
        )
    )
)
_LEGACY = "kubernetes.io/legacy-unknown"
_FINAL = ("Approved", "Denied", "Failed")
_DECISIONS = ("Approved", "Denied")
_BLOCK = re.compile(rb"-----BEGIN ([^-\n]+)-----\r?\n(.*?)-----END \1-----", re.DOTALL)


def create(errs: Errors, obj: Thing) -> None:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    _spec(errs, spec)
    _conditions(errs, status.get("conditions") or ())
    _certificate(errs, status.get("certificate"))


def update(errs: Errors, new: Thing, old: Thing) -> None:
    _change(errs, new, old)


def status(errs: Errors, new: Thing, old: Thing) -> None:
    """Signers set the certificate, once."""
    _change(errs, new, old, may_sign=True)


def approval(errs: Errors, new: Thing, old: Thing) -> None:
    """Approvers set Approved and Denied."""
    _change(errs, new, old, may_approve=True)


def _spec(errs: Errors, spec: Object, *, legacy: bool = False) -> None:
    problem = _request_problem(spec.get("request") or "")
    if problem:
        errs.append(invalid("spec.request", spec.get("request") or "", problem))
    usages, signer, seconds = spec.get("usages") or (), spec.get("signerName") or "", spec.get("expirationSeconds")
    if not usages:
        errs.append(required("spec.usages"))
    for i, usage in enumerate(usages):
        if usage not in _USAGES:
            errs.append(not_supported(f"spec.usages[{i}]", usage, _USAGES))
    for i, usage in enumerate(usages):
        if usage in usages[:i]:
            errs.append(duplicate(f"spec.usages[{i}]", usage))
    if signer == _LEGACY and not legacy:
        errs.append(invalid("spec.signerName", signer, "the legacy signerName is not allowed via this API version"))
    else:
        signer_name(errs, signer, "spec.signerName")
    if seconds is not None and seconds < 600:
        errs.append(invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 600 seconds (10 minutes)"))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return b""


def _request_problem(text: str) -> str:
    pem = _decoded(text)
    block = _BLOCK.search(pem)
    if block is None or block[1] != b"CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        request = x509.load_pem_x509_csr(block[0])
        if not is_signed(request):
            return "x509: certificate request signature is not valid"
    except (ValueError, UnsupportedAlgorithm) as error:
        return f"asn1: structure error: {error}"
    return ""


def _certificate(errs: Errors, text: str | None) -> None:
    if not text:
        return
    problem = _certificate_problem(_decoded(text))
    if problem:
        errs.append(invalid("status.certificate", "<certificate data>", problem))


def _certificate_problem(pem: bytes) -> str:
    blocks = _BLOCK.findall(pem)
    if not blocks:
        return "must contain at least one CERTIFICATE PEM block"
    for sort, body in blocks:
        if sort != b"CERTIFICATE":
            return f"only CERTIFICATE PEM blocks are allowed, found {quote(sort.decode(errors='replace'))}"
        if b":" in body:
            return "no PEM block headers are permitted"
        try:
            x509.load_der_x509_certificate(base64.b64decode(body))
        except (ValueError, binascii.Error) as error:
            return f"x509: malformed certificate: {error}"
    return ""


def _conditions(errs: Errors, conditions: Any, before: Any = ()) -> None:
    path, seen = "status.conditions", set[str]()
    had = {c.get("type") for c in before}
    for i, condition in enumerate(conditions):
        sort, state = condition.get("type") or "", condition.get("status") or ""
        allowed = ("True",) if sort in _FINAL else ("False", "True", "Unknown")
        if not sort:
            errs.append(required(f"{path}[{i}].type"))
        if not state:
            errs.append(required(f"{path}[{i}].status"))
        elif state not in allowed:
            errs.append(not_supported(f"{path}[{i}].status", state, allowed))
        if sort in _DECISIONS and not had >= set(_DECISIONS) and seen & (set(_DECISIONS) - {sort}):
            errs.append(invalid(path, sort, "Approved and Denied conditions are mutually exclusive"))
        if sort in seen:
            errs.append(duplicate(f"{path}[{i}].type", sort))
        seen.add(sort)


def _of_type(conditions: Any, sort: str) -> list[Object]:
    return [c for c in conditions if c.get("type") == sort]


def _change(errs: Errors, new: Thing, old: Thing, *, may_sign: bool = False, may_approve: bool = False) -> None:
    spec, before_spec = new.get("spec") or {}, old.get("spec") or {}
    status, before = new.get("status") or {}, old.get("status") or {}
    conditions, earlier = status.get("conditions") or (), before.get("conditions") or ()
    certificate, issued = status.get("certificate") or "", before.get("certificate") or ""
    if not semantic_equal(spec, before_spec):
        _spec(errs, spec, legacy=before_spec.get("signerName") == _LEGACY)
    if not semantic_equal(conditions, earlier):
        _conditions(errs, conditions, earlier)
    if certificate != issued:
        _certificate(errs, certificate)
    for sort in _FINAL:
        if len(_of_type(conditions, sort)) < len(_of_type(earlier, sort)):
            errs.append(forbidden("status.conditions", f"updates may not remove a condition of type {quote(sort)}"))
    for sort in () if may_approve else _DECISIONS:
        now, then = _of_type(conditions, sort), _of_type(earlier, sort)
        if len(now) > len(then):
            errs.append(forbidden("status.conditions", f"updates may not add a condition of type {quote(sort)}"))
        elif len(now) == len(then) and not semantic_equal(now, then):
            changes = diff(*(go_struct("certificates.CertificateSigningRequestCondition", value) for value in (then, now)))
            detail = f"updates may not modify a condition of type {quote(sort)}\n{changes}"
            errs.append(forbidden("status.conditions", detail))
    if certificate != issued:
        if not may_sign:
            errs.append(forbidden("status.certificate", "updates may not set certificate content"))
        elif issued:
            errs.append(forbidden("status.certificate", "updates may not modify existing certificate content"))
