"""Which fields a field selector may name, and what they are on an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubetree.api.kinds import Kind

Fields = dict[str, str]


def _pod(obj: dict[str, Any]) -> Fields:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    addresses = status.get("podIPs")
    return {
        "spec.nodeName": spec.get("nodeName") or "",
        "spec.restartPolicy": spec.get("restartPolicy") or "",
        "spec.schedulerName": spec.get("schedulerName") or "",
        "spec.serviceAccountName": spec.get("serviceAccountName") or "",
        "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
        "status.phase": status.get("phase") or "",
        "status.podIP": (addresses[0].get("ip") or "") if addresses else (status.get("podIP") or ""),
        "status.nominatedNodeName": status.get("nominatedNodeName") or "",
    }


def _node(obj: dict[str, Any]) -> Fields:
    return {"spec.unschedulable": "true" if (obj.get("spec") or {}).get("unschedulable") else "false"}


def _event_fields(regarding: dict[str, Any], prefix: str) -> Fields:
    return {
        f"{prefix}.{name}": regarding.get(name) or ""
        for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    }


def _event(obj: dict[str, Any]) -> Fields:
    component = obj.get("reportingComponent") or ""
    return {
        **_event_fields(obj.get("involvedObject") or {}, "involvedObject"),
        "reason": obj.get("reason") or "",
        "reportingComponent": component,
        "source": (obj.get("source") or {}).get("component") or component,
        "type": obj.get("type") or "",
    }


def _at(*paths: str) -> Callable[[dict[str, Any]], Fields]:
    """Strings and numbers at fixed paths; a missing number reads 0 where the last part says it is one."""
    split = [(path, path.split(".")) for path in paths]

    def read(obj: dict[str, Any]) -> Fields:
        found = {}
        for path, parts in split:
            value: Any = obj
            for part in parts:
                value = (value or {}).get(part)
            found[path] = "" if value is None else str(value)
        return found

    return read


def _replicas(obj: dict[str, Any]) -> Fields:
    return {"status.replicas": str((obj.get("status") or {}).get("replicas") or 0)}


def _job(obj: dict[str, Any]) -> Fields:
    return {"status.successful": str((obj.get("status") or {}).get("succeeded") or 0)}


_FIELDS: dict[tuple[str, str], Callable[[dict[str, Any]], Fields]] = {
    ("v1", "Pod"): _pod,
    ("v1", "Node"): _node,
    ("v1", "Event"): _event,
    ("v1", "Namespace"): _at("status.phase"),
    ("v1", "ReplicationController"): _replicas,
    ("v1", "Secret"): _at("type"),
    ("v1", "Service"): _at("spec.clusterIP", "spec.type"),
    ("apps/v1", "ReplicaSet"): _replicas,
    ("batch/v1", "Job"): _job,
    ("certificates.k8s.io/v1", "CertificateSigningRequest"): _at("spec.signerName"),
    ("certificates.k8s.io/v1beta1", "ClusterTrustBundle"): _at("spec.signerName"),
    ("certificates.k8s.io/v1beta1", "PodCertificateRequest"): _at("spec.signerName", "spec.podName", "spec.nodeName"),
    ("resource.k8s.io/v1", "ResourceSlice"): _at("spec.nodeName", "spec.driver"),
}

_REGARDING = {label.replace("involvedObject", "regarding"): label for label in _event_fields({}, "involvedObject")}
_ALIASES: dict[tuple[str, str], dict[str, str]] = {
    ("v1", "Pod"): {"spec.host": "spec.nodeName", "status.podIPs": "status.podIP"},
    ("events.k8s.io/v1", "Event"): {**_REGARDING, "reportingController": "reportingComponent", "reason": "reason", "type": "type"},
}
"""Labels that are accepted and mean another one, of the row the objects are stored as."""

_ONLY_META: frozenset[tuple[str, str]] = frozenset({("apps/v1", "ReplicaSet")})
"""Kinds whose fields are computed but whose labels upstream's v1 conversion does not accept."""

_LABELS: dict[tuple[str, str], frozenset[str]] = {
    **{key: frozenset(read({})) for key, read in _FIELDS.items() if key not in _ONLY_META},
    **{key: frozenset(_FIELDS[key]({}) if key in _FIELDS else ()) | labels.keys() for key, labels in _ALIASES.items()},
}


def selectable_fields(kind: Kind, obj: dict[str, Any]) -> Fields:
    """Field selector labels and their values on `obj`; numbers and booleans as strings, missing ones as ''."""
    metadata = obj["metadata"]
    read = _FIELDS.get((kind.api_version, kind.kind))
    fields = read(obj) if read else kind.behaviour.fields(obj) if kind.behaviour is not None else {}
    fields["metadata.name"] = metadata.get("name") or ""
    if kind.namespaced:
        fields["metadata.namespace"] = metadata.get("namespace") or ""
    return fields


_LISTED_LABELS = frozenset(
    {"Node", "Namespace", "CertificateSigningRequest", "ResourceSlice", "ClusterTrustBundle", "PodCertificateRequest"}
)
"""Kinds whose labels upstream lists one by one; the others accept metadata.namespace, which nothing has."""


def field_label_supported(kind: Kind, label: str) -> bool:
    """Whether a field selector may name `label`; if not, upstream answers as `unsupported_field_label` says."""
    if label == "metadata.name" or (label == "metadata.namespace" and kind.namespaced and kind.kind != "PodCertificateRequest"):
        return True
    if kind.behaviour is not None:
        return label in kind.behaviour.field_labels()
    if label == "metadata.namespace":
        return kind.kind not in _LISTED_LABELS
    own = kind.api_version, kind.kind
    return label in _LABELS.get(own if own in _LABELS else (kind.stored_as, kind.kind), ())


_TERSE = frozenset(
    {"Pod", "Node", "Namespace", "Event", "Secret", "Service", "ReplicationController", "CertificateSigningRequest", "ClusterTrustBundle",
     "PodCertificateRequest"}
)  # fmt: skip


def unsupported_field_label(kind: Kind, label: str) -> str:
    """What upstream's conversion of the kind's field labels says of one that it does not know."""
    if kind.kind == "Job":
        return f'field label "{label}" not supported for Job'
    if kind.kind == "ResourceSlice":
        return f"field label not supported for {kind.api_version}, Kind={kind.kind}: {label}"
    if kind.kind in _TERSE or kind.behaviour is not None:
        return f"field label not supported: {label}"
    return f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def stored_field_label(kind: Kind, label: str) -> str:
    """The label under which `selectable_fields` of the row the kind is stored as has what `label` names."""
    return _ALIASES.get((kind.api_version, kind.kind), {}).get(label, label)
