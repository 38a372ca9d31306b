"""What single kinds do beyond the table: each function changes the new object in place; `old` is never changed."""

from __future__ import annotations

from typing import Any

from kubetree.api.strategies.pods import pod_create, pod_status
from kubetree.api.strategies.services import service_update

__all__ = ["pod_create", "pod_status", "service_update"]

Object = dict[str, Any]


def restore(new: Object, old: Object, name: str) -> None:
    """Puts the old value, or its absence, back."""
    if name in old:
        new[name] = old[name]
    else:
        new.pop(name, None)


def keep_status(new: Object, old: Object) -> None:
    restore(new, old, "status")


def keep_spec(new: Object, old: Object) -> None:
    restore(new, old, "spec")


def keep_labels(new: Object, old: Object) -> None:
    restore(new["metadata"], old["metadata"], "labels")


def namespace_create(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    finalizers = spec.get("finalizers") or []
    if "kubernetes" not in finalizers:
        spec["finalizers"] = [*finalizers, "kubernetes"]
    _name_label(obj)


def _name_label(obj: Object) -> None:
    metadata = obj["metadata"]
    if metadata.get("name"):
        labels = metadata.get("labels")
        if labels is None:
            labels = metadata["labels"] = {}
        labels["kubernetes.io/metadata.name"] = metadata["name"]


def namespace_update(new: Object, old: Object) -> None:
    """Finalizers change only through the finalize subresource."""
    spec = new.get("spec")
    if spec is None:
        spec = new["spec"] = {}
    restore(spec, old.get("spec") or {}, "finalizers")
    _name_label(new)


def persistent_volume_create(obj: Object) -> None:
    if obj["metadata"].get("creationTimestamp"):
        obj["status"]["lastPhaseTransitionTime"] = obj["metadata"]["creationTimestamp"]


def persistent_volume_status(new: Object, old: Object) -> None:
    """Keeps the time of the last change of phase; the controller that changes the phase writes a new one."""
    status, before = new.get("status") or {}, old.get("status") or {}
    if (
        status.get("phase") == before.get("phase")
        and status.get("lastPhaseTransitionTime") is None
        and before.get("lastPhaseTransitionTime")
    ):
        status["lastPhaseTransitionTime"] = before["lastPhaseTransitionTime"]


_DATA_SOURCES = (("PersistentVolumeClaim", ""), ("VolumeSnapshot", "snapshot.storage.k8s.io"))


def claim_create(obj: Object) -> None:
    _claim_sources(obj, {})


def claim_update(new: Object, old: Object) -> None:
    _claim_sources(new, old.get("spec") or {})


def _claim_sources(obj: Object, before: Object) -> None:
    """dataSource and dataSourceRef mirror one another unless the reference crosses namespaces; what dataSource never was for is dropped."""
    spec = obj.get("spec") or {}
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    unused = before.get("dataSource") is None and before.get("dataSourceRef") is None
    if (
        source is not None
        and reference is None
        and unused
        and (source.get("kind") or "", source.get("apiGroup") or "") not in _DATA_SOURCES
    ):
        del spec["dataSource"]
        return
    if source is not None and reference is None:
        spec["dataSourceRef"] = {k: v for k, v in source.items() if k in ("apiGroup", "kind", "name")}
    elif reference is not None and source is None and not reference.get("namespace"):
        spec["dataSource"] = {k: v for k, v in reference.items() if k in ("apiGroup", "kind", "name")}


def secret_update(new: Object, old: Object) -> None:
    if not new.get("type"):
        restore(new, old, "type")


def service_account(obj: Object) -> None:
    """Secrets are named, nothing else."""
    if obj.get("secrets"):
        obj["secrets"] = [{"name": s.get("name")} if s.get("name") else {} for s in obj["secrets"]]


_HOST_NAME = "kubernetes.io/hostname"
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def _template_generation(obj: Object) -> int:
    try:
        return int((obj["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION, 0))
    except ValueError:
        return 0


def _set_template_generation(obj: Object, value: int) -> None:
    annotations = obj["metadata"].get("annotations")
    if annotations is None:
        annotations = obj["metadata"]["annotations"] = {}
    annotations[_TEMPLATE_GENERATION] = str(value)


def daemon_set_create(obj: Object) -> None:
    _set_template_generation(obj, max(1, _template_generation(obj)))


def daemon_set_update(new: Object, old: Object) -> None:
    changed = new["spec"].get("template") != old["spec"].get("template")
    _set_template_generation(new, _template_generation(old) + changed)


def daemon_set_status(new: Object, old: Object) -> None:
    """The annotation is part of the spec: it stays what it was."""
    _set_template_generation(new, _template_generation(old))


def keep_generate_name(new: Object, old: Object) -> None:
    restore(new["metadata"], old["metadata"], "generateName")


def limit_range_create(obj: Object) -> None:
    """One without a name is named by its uid."""
    metadata = obj["metadata"]
    if not metadata.get("name"):
        metadata["name"] = metadata["uid"]


def job_create(obj: Object) -> None:
    """Unless `manualSelector`, pods are found by the job's uid, under the old and the new label."""
    spec, metadata = obj["spec"], obj["metadata"]
    if spec.get("manualSelector"):
        return
    template = spec["template"].setdefault("metadata", {})
    labels = template.get("labels")
    defaulted = labels is not None and metadata.get("labels") is labels
    if labels is None:
        labels = template["labels"] = {}
    name, uid = metadata.get("name") or "", metadata.get("uid") or ""
    for label, value in (
        ("job-name", name),
        ("batch.kubernetes.io/job-name", name),
        ("controller-uid", uid),
        ("batch.kubernetes.io/controller-uid", uid),
    ):
        labels.setdefault(label, value)
    selector = spec.get("selector")
    if selector is None:
        selector = spec["selector"] = {}
    if selector.get("matchLabels") is None:
        selector["matchLabels"] = {}
    selector["matchLabels"].setdefault("batch.kubernetes.io/controller-uid", uid)
    if defaulted or not metadata.get("labels"):
        metadata["labels"] = dict(labels)  # upstream's defaults would give them on every later read


def endpoint_slice_create(obj: Object) -> None:
    """Topology as a map is what v1beta1 had: v1 cannot write it."""
    for endpoint in obj.get("endpoints") or ():
        endpoint.pop("deprecatedTopology", None)


def endpoint_slice_update(new: Object, old: Object) -> None:
    if new.get("endpoints") == old.get("endpoints"):
        return
    known = {(e.get("deprecatedTopology") or {}).get(_HOST_NAME) for e in old.get("endpoints") or ()} - {None, ""}
    for endpoint in new.get("endpoints") or ():
        name = (endpoint.pop("deprecatedTopology", None) or {}).get(_HOST_NAME)
        if endpoint.get("nodeName") is None and name in known:
            endpoint["nodeName"] = name


def definition_create(obj: Object) -> None:
    _remember_storage_version(obj, [])


def definition_update(new: Object, old: Object) -> None:
    _remember_storage_version(new, (old.get("status") or {}).get("storedVersions") or [])


def _remember_storage_version(obj: Object, stored: list[str]) -> None:
    name = next((v.get("name") for v in (obj.get("spec") or {}).get("versions") or () if v.get("storage")), None)
    if name is not None and name not in stored:
        stored = [*stored, name]
    obj["status"] = {**(obj.get("status") or {}), "storedVersions": stored or None}


def api_service_create(obj: Object) -> None:
    """An API that this server serves itself is available at once. The caller's clock has set creationTimestamp."""
    if (obj.get("spec") or {}).get("service") is None:
        obj["status"] = {
            "conditions": [
                {
                    "type": "Available",
                    "status": "True",
                    "reason": "Local",
                    "message": "Local APIServices are always available",
                    "lastTransitionTime": obj["metadata"].get("creationTimestamp"),
                }
            ]
        }


def node_status(new: Object, old: Object) -> None:
    """Dynamic kubelet configuration is gone: what it says of itself is kept only where it was."""
    if (old.get("status") or {}).get("config") is None:
        (new.get("status") or {}).pop("config", None)


def resource_slice_create(obj: Object) -> None:
    """Taints are dated. The caller's clock has set creationTimestamp."""
    date_taints(obj, obj["metadata"].get("creationTimestamp") or "")


def without_status(obj: Object) -> None:
    obj.pop("status", None)


def date_taint_rule(new: Object, old: Object | None, now: str) -> None:
    """Dates a DeviceTaintRule's taint that does not say when it came, and anew when its effect is another."""
    taint, before = (new.get("spec") or {}).get("taint"), ((old or {}).get("spec") or {}).get("taint") or {}
    if not taint or not now:
        return
    turned = old is not None and taint.get("effect") != before.get("effect") and taint.get("timeAdded") == before.get("timeAdded")
    if taint.get("timeAdded") is None or turned:
        taint["timeAdded"] = now


def date_taints(obj: Object, now: str) -> None:
    """Dates the taints of a ResourceSlice that say nothing of when they came."""
    for device in (obj.get("spec") or {}).get("devices") or ():
        for taint in device.get("taints") or ():
            if taint.get("timeAdded") is None and now:
                taint["timeAdded"] = now
