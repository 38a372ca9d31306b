"""CertificateApproval, CertificateSigning, CertificateSubjectRestriction, and who asked for a certificate.

Approving or signing needs the verb on the signer's name, or on all of its domain (`kubernetes.io/*`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from kubetree.api.errors import invalid
from kubetree.api.objects import semantic_equal
from kubetree.api.times import parse_time
from kubetree.api.validation.errors import FieldError
from kubetree.api.validation.errors import forbidden as field_forbidden
from kubetree.api.validation.errors import invalid as field_invalid
from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authentication.user import MASTERS_GROUP, User
from kubetree.apiserver.authorization.attributes import Attributes, Authorizer, Decision
from kubetree.apiserver.authorization.escalation import only_gc_fields

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
_SKEW = timedelta(minutes=5)
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


class ClusterTrustBundleAttest(Plugin):
    """Behind ClusterTrustBundle."""

    name = "ClusterTrustBundleAttest"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"clustertrustbundles.certificates.k8s.io"})
    validates = True

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, request: AdmissionRequest) -> None:
        signer = _signer(request.obj)
        if not signer or (request.obj is not None and request.old is not None and only_gc_fields(request.obj, request.old)):
            return
        if not may_use_signer(self._authorizer, request.user, "attest", signer):
            raise refusal(request, f'user not permitted to attest for signerName "{signer}"')


class PodCertificateSigner(Plugin):
    """Who answers a PodCertificateRequest must be allowed to sign for its signer, and a certificate begins about now: upstream's strategy of
    the kind, so it holds whichever plugins are enabled."""

    name = "PodCertificateSigner"
    operations = frozenset({UPDATE})
    resources = frozenset({"podcertificaterequests.certificates.k8s.io"})
    subresources = frozenset({"status"})
    validates = True

    def __init__(self, authorizer: Authorizer, now: Callable[[], datetime]) -> None:
        self._authorizer, self._now = authorizer, now

    async def validate(self, request: AdmissionRequest) -> None:
        new, old = (request.obj or {}).get("status") or {}, (request.old or {}).get("status") or {}
        if semantic_equal(new, old):
            return
        fault = self._fault(new, _signer(request.old), request.user)
        if fault is not None:
            raise invalid(request.kind.kind, request.kind.group, request.name, [fault.to_cause()])

    def _fault(self, status: Object, signer: str, user: User) -> FieldError | None:
        begins = status.get("notBefore")
        if begins and not -_SKEW < self._now() - parse_time(begins) < _SKEW:
            return field_invalid("status.notBefore", begins, "must be set to within 5 minutes of kube-apiserver's current time")
        if may_use_signer(self._authorizer, user, "sign", signer):
            return None
        return field_forbidden("spec.signerName", f'User "{user.name}" is not permitted to "sign" for signer "{signer}"')


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
