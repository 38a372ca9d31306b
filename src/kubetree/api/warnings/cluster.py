"""Warnings about nodes, storage, secrets, accounts and admission."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.errors import quote
from kubetree.api.warnings.values import (
    BETA_CLASS,
    CLASS_MESSAGE,
    DEPRECATED_LABELS,
    Object,
    Texts,
    cidr,
    claim_spec,
    selector_term,
)

Thing = dict[str, Any]
_SOURCES = {
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
_TOKENS = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in "
    "volume attributes"
)
_STATIC = ".static.k8s.io"


def node(out: Texts, obj: Thing, old: Thing | None) -> None:
    spec = obj.get("spec") or {}
    if spec.get("configSource") is not None:
        out.append("spec.configSource: the feature is removed")
    if spec.get("externalID"):
        out.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for i, block in enumerate(spec.get("podCIDRs") or ()):
        cidr(out, block, f"spec.podCIDRs[{i}]")


def persistent_volume(out: Texts, obj: Thing, old: Thing | None) -> None:
    spec, annotations = obj.get("spec") or {}, obj["metadata"].get("annotations") or {}
    mounts = "volume.beta.kubernetes.io/mount-options"
    for key, text in ((BETA_CLASS, CLASS_MESSAGE), (mounts, 'deprecated since v1.31; use "mountOptions" attribute instead')):
        if key in annotations:
            out.append(f"metadata.annotations[{key}]: {text}")
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        advice = "Instead, the recommended approach is to use dynamic provisioning."
        out.append(f"spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. {advice}")
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()
    for i, term in enumerate(terms):
        selector_term(out, term, f"spec.nodeAffinity.required.nodeSelectorTerms[{i}]", check_values=False)
    for source, text in _SOURCES.items():
        if spec.get(source) is not None:
            out.append(f"spec.{'storageOS' if source == 'storageos' else source}: {text}")


def persistent_volume_claim(out: Texts, obj: Thing, old: Thing | None) -> None:
    if BETA_CLASS in (obj["metadata"].get("annotations") or ()):
        out.append(f"metadata.annotations[{BETA_CLASS}]: {CLASS_MESSAGE}")
    claim_spec(out, obj.get("spec") or {}, "spec")


def service_account(out: Texts, obj: Thing, old: Thing | None) -> None:
    if old is not None and _MOUNTABLE in (old["metadata"].get("annotations") or ()):
        return
    if _MOUNTABLE in (obj["metadata"].get("annotations") or ()):
        advice = "prefer separate namespaces to isolate access to mounted secrets"
        out.append(f"metadata.annotations[{_MOUNTABLE}]: deprecated in v1.32+; {advice}")


def _pem(data: Object, key: str) -> bytes:
    try:
        return base64.b64decode(data.get(key) or "")
    except (binascii.Error, ValueError):
        return b""


def secret(out: Texts, obj: Thing, old: Thing | None) -> None:
    """A TLS secret whose halves are unreadable or do not belong together."""
    if obj.get("type") != "kubernetes.io/tls":
        return
    data = obj.get("data") or {}
    certificate, key = _pem(data, "tls.crt"), _pem(data, "tls.key")
    for told, pem in (("certificate", certificate), ("key", key)):
        if b"-----BEGIN" not in pem:
            out.append(f"tls: failed to find any PEM data in {told} input")
            return
    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
        private: Any = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        out.append(f"tls: failed to parse the key pair: {error}")
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != private.public_bytes(*form):
        same = type(public) is type(private)
        out.append("tls: private key does not match public key" if same else "tls: private key type does not match public key type")


def static_name(out: Texts, obj: Thing, old: Thing | None) -> None:
    if (obj["metadata"].get("name") or "").endswith(_STATIC):
        reserved = "are reserved for static manifest-based configurations and cannot be managed via the API"
        out.append(f"metadata.name: names ending with {quote(_STATIC)} {reserved}")


def runtime_class(out: Texts, obj: Thing, old: Thing | None) -> None:
    for key in (obj.get("scheduling") or {}).get("nodeSelector") or ():
        if key in DEPRECATED_LABELS:
            out.append(f"scheduling.nodeSelector: {DEPRECATED_LABELS[key]}")


def resource_slice(out: Texts, obj: Thing, old: Thing | None) -> None:
    driver = (obj.get("spec") or {}).get("driver") or ""
    if driver != driver.lower():
        out.append(f"spec.driver: driver names should be lowercase; {quote(driver)} contains uppercase characters")


def csi_driver(out: Texts, obj: Thing, old: Thing | None) -> None:
    spec, before = obj.get("spec") or {}, ((old or {}).get("spec") or {}).get("tokenRequests")
    tokens = spec.get("tokenRequests")
    if tokens and spec.get("serviceAccountTokenInSecrets") is None and not semantic_equal(tokens, before):
        out.append(_TOKENS)


def csi_storage_capacity(out: Texts, obj: Thing, old: Thing | None) -> None:
    topology = obj.get("nodeTopology") or {}
    selector_term(out, topology, "nodeTopology", check_values=False)
    for key in topology.get("matchLabels") or ():
        if key in DEPRECATED_LABELS:
            out.append(f"nodeTopology.matchLabels.{key}: {DEPRECATED_LABELS[key]}")


def storage_class(out: Texts, obj: Thing, old: Thing | None) -> None:
    for i, term in enumerate(obj.get("allowedTopologies") or ()):
        for j, expression in enumerate(term.get("matchLabelExpressions") or ()):
            key = expression.get("key") or ""
            if key in DEPRECATED_LABELS:
                out.append(f"allowedTopologies[{i}].matchLabelExpressions[{j}].key: {DEPRECATED_LABELS[key]}")
