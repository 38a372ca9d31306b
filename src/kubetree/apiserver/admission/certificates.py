"""CertificateApproval, CertificateSigning, CertificateSubjectRestriction, and who asked for a certificate.

Approving or signing needs the verb on the signer's name, or on all of its domain (`kubernetes.io/*`).
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authentication.user import MASTERS_GROUP, User
from kubetree.apiserver.authorization.attributes import Attributes, Authorizer, Decision

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
_REQUESTS = frozenset({"certificatesigningrequests.certificates.k8s.io"})

Object = dict[str, Any]


class CertificateApproval(Plugin):
    name = "CertificateApproval"
    operations = frozenset({UPDATE})
    resources = _REQUESTS
    subresources = frozenset({"approval"})
    validates = True

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, request: AdmissionRequest) -> None:
        signer = _signer(request.old)
        if not may_use_signer(self._authorizer, request.user, "approve", signer):
            raise refusal(request, f'user not permitted to approve requests with signerName "{signer}"')


class CertificateSigning(Plugin):
    name = "CertificateSigning"
    operations = frozenset({UPDATE})
    resources = _REQUESTS
    subresources = frozenset({"status"})
    validates = True

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, request: AdmissionRequest) -> None:
        new, old = (request.obj or {}).get("status") or {}, (request.old or {}).get("status") or {}
        if all((new.get(field) or None) == (old.get(field) or None) for field in ("certificate", "conditions")):
            return
        signer = _signer(request.old)
        if not may_use_signer(self._authorizer, request.user, "sign", signer):
            raise refusal(request, f'user not permitted to sign requests with signerName "{signer}"')


class CertificateSubjectRestriction(Plugin):
    name = "CertificateSubjectRestriction"
    operations = frozenset({CREATE})
    resources = _REQUESTS
    validates = True

    async def validate(self, request: AdmissionRequest) -> None:
        if _signer(request.obj) != CLIENT_SIGNER:
            return
        try:
            pem = base64.b64decode(((request.obj or {}).get("spec") or {}).get("request") or "")
            asked = x509.load_pem_x509_csr(pem)
        except (ValueError, binascii.Error) as error:
            raise refusal(request, f"failed to parse CSR: {error}") from error
        groups = [attribute.value for attribute in asked.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        if MASTERS_GROUP in groups:
            raise refusal(request, f"use of {CLIENT_SIGNER} signer with system:masters group is not allowed")


class CertificateRequestor(Plugin):
    """The API server itself says who asks for a certificate, whatever the object claims: upstream's strategy of the kind."""

    name = "CertificateRequestor"
    operations = frozenset({CREATE})
    resources = _REQUESTS
    mutates = True

    async def admit(self, request: AdmissionRequest) -> None:
        spec = (request.obj or {}).setdefault("spec", {})
        for field in ("username", "uid", "groups", "extra"):
            spec.pop(field, None)
        user = request.user
        stated = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": {k: list(v) for k, v in user.extra.items()}}
        spec.update({field: value for field, value in stated.items() if value})


def may_use_signer(authorizer: Authorizer, user: User, verb: str, signer: str) -> bool:
    """Whether the user may do it with this signer, or with all signers of its domain."""
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        asked = Attributes(user, verb, group="certificates.k8s.io", version="*", resource="signers", name=name)
        if authorizer.authorize(asked).decision is Decision.ALLOW:
            return True
    return False


def _signer(obj: Object | None) -> str:
    return str(((obj or {}).get("spec") or {}).get("signerName") or "")
