"""What a CertificateSigningRequest asks for, and whether the signer it names may give it. Pure; after upstream's certificates API group."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from kubetree.api.kind_table import kind
from kubetree.api.objects import condition

Object = dict[str, Any]

CSR = kind("certificates.k8s.io/v1", "CertificateSigningRequest")
CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SIGNERS = (KUBELET_SERVING, KUBELET_CLIENT, CLIENT, LEGACY)
"""Those of this house."""

_BASE = {"digital signature", "key encipherment"}
_KUBELET_CLIENT_USAGES = [{*_BASE, "client auth"}, {"digital signature", "client auth"}]
_KUBELET_SERVING_USAGES = [{*_BASE, "server auth"}, {"digital signature", "server auth"}]
_CLIENT_USAGES = {*_BASE, "client auth"}


class Refused(Exception):
    """A request that its signer does not sign. The message is upstream's."""


class Unusable(Exception):
    """What is no request at all, or cannot be signed as things are: nothing is said of it in its status, and it is tried again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A parsed PKCS #10 request: who it is for and which names it holds."""

    common_name: str
    organizations: tuple[str, ...]
    dns: tuple[str, ...]
    emails: tuple[str, ...]
    addresses: tuple[str, ...]
    uris: tuple[str, ...]
    parsed: x509.CertificateSigningRequest


def parse(csr: Object) -> Asked:
    """Raises Unusable. Whether it is signed by the key that it names is looked at when it is granted."""
    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(csr["spec"]["request"]))
    except ValueError as error:
        raise Unusable(f"unable to parse csr {csr['metadata']['name']!r}: {error}") from error
    try:
        names: x509.SubjectAlternativeName | tuple[()] = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = ()

    def of(type_: type[Any]) -> tuple[str, ...]:
        return tuple(str(name.value) for name in names if isinstance(name, type_))

    common = parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    organizations = tuple(str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    return Asked(
        str(common[-1].value) if common else "",
        organizations,
        of(x509.DNSName),
        of(x509.RFC822Name),
        of(x509.IPAddress),
        of(x509.UniformResourceIdentifier),
        parsed,
    )


def check(signer: str, asked: Asked, usages: Sequence[str]) -> None:
    """Raises Refused when the signer may not sign this."""
    match signer:
        case "kubernetes.io/kube-apiserver-client":
            check_client(usages)
        case "kubernetes.io/kube-apiserver-client-kubelet":
            check_kubelet_client(asked, usages)
        case "kubernetes.io/kubelet-serving":
            check_kubelet_serving(asked, usages)


def check_client(usages: Sequence[str]) -> None:
    wrong = next((usage for usage in usages if usage not in _CLIENT_USAGES), None)
    if wrong is not None:
        raise Refused(f"invalid usage for client certificate: {wrong}")
    if "client auth" not in usages:
        raise Refused("missing required usage for client certificate: client auth")


def check_kubelet_client(asked: Asked, usages: Sequence[str]) -> None:
    _check_organization(asked)
    for names, what in ((asked.dns, "DNS"), (asked.emails, "Email"), (asked.addresses, "IP"), (asked.uris, "URI")):
        if names:
            raise Refused(f"{what} subjectAltNames are not allowed")
    _check_common_name(asked)
    _check_usages(usages, _KUBELET_CLIENT_USAGES)


def check_kubelet_serving(asked: Asked, usages: Sequence[str]) -> None:
    _check_organization(asked)
    if not asked.dns and not asked.addresses:
        raise Refused("DNS or IP subjectAltName is required")
    for names, what in ((asked.emails, "Email"), (asked.uris, "URI")):
        if names:
            raise Refused(f"{what} subjectAltNames are not allowed")
    _check_usages(usages, _KUBELET_SERVING_USAGES)
    _check_common_name(asked)


def _check_organization(asked: Asked) -> None:
    if asked.organizations != ("system:nodes",):
        raise Refused("subject organization is not system:nodes")


def _check_common_name(asked: Asked) -> None:
    if not asked.common_name.startswith("system:node:"):
        raise Refused("subject common name does not begin with system:node:")


def _check_usages(usages: Sequence[str], allowed: Sequence[set[str]]) -> None:
    if set(usages) not in allowed:
        raise Refused(f"usages did not match [{' '.join(sorted(allowed[0]))}]")


def has_condition(csr: Object, type_: str) -> bool:
    return condition(csr, type_) is not None


def certificate_of(csr: Object) -> str:
    """The issued certificate, base64 of PEM; "" when there is none yet."""
    return str((csr.get("status") or {}).get("certificate") or "")
