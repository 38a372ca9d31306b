"""Persistent volumes and claims as cluster objects."""

from __future__ import annotations

import posixpath
from typing import Any

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.claims import VOLUME_MODES, access_modes, claim_spec
from kubetree.api.validation.diff import diff
from kubetree.api.validation.errors import Errors, Object, each, forbidden, invalid, not_supported, required
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.metadata import IMMUTABLE, immutable
from kubetree.api.validation.names import dns_subdomain, label_key
from kubetree.api.validation.pods.scheduling import node_selector
from kubetree.api.validation.pods.volume_sources import PERSISTENT_SOURCES, SHOWN
from kubetree.api.validation.resources import ZERO, amount, basic, is_native, positive, quantity

Thing = dict[str, Any]
_RECLAIM = ("Delete", "Recycle", "Retain")
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_ISCSI_LENGTH = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."
_RESIZE = (
    "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"
)  # fmt: skip


def volume_spec(errs: Errors, spec: Object, name: str, path: str, *, inline: bool = False) -> None:
    """A PersistentVolumeSpec; `inline` is one in a VolumeAttachment."""
    only_inline = "may not be specified in the context of inline volumes"
    if inline:
        for field in ("claimRef", "capacity"):
            if spec.get(field) is not None:
                errs.append(forbidden(f"{path}.{field}", only_inline))
        if spec.get("csi") is None:
            errs.append(required(f"{path}.csi", "has to be specified in the context of inline volumes"))
    if not spec.get("accessModes"):
        errs.append(required(f"{path}.accessModes"))
    access_modes(errs, spec.get("accessModes") or (), f"{path}.accessModes")
    capacity, policy = spec.get("capacity") or {}, spec.get("persistentVolumeReclaimPolicy")
    if not inline:
        if not capacity:
            errs.append(required(f"{path}.capacity"))
        if "storage" not in capacity or len(capacity) > 1:
            errs.append(not_supported(f"{path}.capacity", spec.get("capacity"), ("storage",)))
        for resource, text in capacity.items():
            basic(errs, text, f"{path}.capacity[{resource}]")
            positive(errs, text, f"{path}.capacity[{resource}]")
    if policy:
        at = f"{path}.persistentVolumeReclaimPolicy"
        if inline and policy != "Retain":
            errs.append(forbidden(at, "may only be Retain in the context of inline volumes"))
        elif not inline and policy not in _RECLAIM:
            errs.append(not_supported(at, policy, _RECLAIM))
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if inline:
            errs.append(forbidden(f"{path}.nodeAffinity", only_inline))
        elif affinity.get("required") is None:
            errs.append(required(f"{path}.nodeAffinity.required", "must specify required node constraints"))
        else:
            node_selector(errs, affinity["required"], f"{path}.nodeAffinity.required")
    _source(errs, spec, name, path)
    host = (spec.get("hostPath") or {}).get("path")
    if host and posixpath.normpath(host) in ("/", "//") and policy == "Recycle":
        errs.append(forbidden(f"{path}.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'"))
    _classes(errs, spec, path, inline)


def _source(errs: Errors, spec: Object, name: str, path: str) -> None:
    found = False
    for field, (shown, rule) in PERSISTENT_SOURCES.items():
        source = spec.get(field)
        if source is None:
            continue
        if found and field != "flexVolume":
            errs.append(forbidden(f"{path}.{SHOWN.get(field, field)}", "may not specify more than 1 volume type"))
            continue
        found = True
        rule(errs, source, f"{path}.{shown}")
        if field == "iscsi" and source.get("initiatorName") is not None and len(f"{name}:{source.get('targetPortal') or ''}") > 64:
            errs.append(invalid(f"{path}.iscsi.targetportal", source.get("targetPortal") or "", _ISCSI_LENGTH))
        if field == "local" and spec.get("nodeAffinity") is None:
            errs.append(required(f"{path}.nodeAffinity", "Local volume requires node affinity"))
    if not found:
        errs.append(required(path, "must specify a volume type"))


def _classes(errs: Errors, spec: Object, path: str, inline: bool) -> None:
    storage, mode, attributes = spec.get("storageClassName"), spec.get("volumeMode"), spec.get("volumeAttributesClassName")
    if storage:
        if inline:
            errs.append(forbidden(f"{path}.storageClassName", "may not be specified in the context of inline volumes"))
        else:
            each(errs, f"{path}.storageClassName", storage, dns_subdomain(storage))
    if mode is not None:
        if inline and mode != "Filesystem":
            detail = "may not specify volumeMode other than Filesystem in the context of inline volumes"
            errs.append(forbidden(f"{path}.volumeMode", detail))
        elif not inline and mode not in VOLUME_MODES:
            errs.append(not_supported(f"{path}.volumeMode", mode, VOLUME_MODES))
    if attributes is not None and not inline:
        at = f"{path}.volumeAttributesClassName"
        if not attributes:
            errs.append(required(at, "an empty string is disallowed"))
        else:
            each(errs, at, attributes, dns_subdomain(attributes))
        if spec.get("csi") is None:
            errs.append(required(f"{path}.csi", "has to be specified when using volumeAttributesClassName"))


def volume(errs: Errors, obj: Thing) -> None:
    volume_spec(errs, obj.get("spec") or {}, obj["metadata"].get("name") or "", "spec")


def volume_update(errs: Errors, new: Thing, old: Thing) -> None:
    _volume_update(errs, new, old, may_move=False)


def movable_volume_update(errs: Errors, new: Thing, old: Thing) -> None:
    """With the gate MutablePVNodeAffinity."""
    _volume_update(errs, new, old, may_move=True)


def _volume_update(errs: Errors, new: Thing, old: Thing, *, may_move: bool) -> None:
    volume(errs, new)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    sources = [{k: spec[k] for k in PERSISTENT_SOURCES if spec.get(k) is not None} for spec in (after, before)]
    if sources[1].get("csi") and sources[0].get("csi") and sources[1]["csi"].get("controllerExpandSecretRef") is None:
        sources[0]["csi"] = {k: v for k, v in sources[0]["csi"].items() if k != "controllerExpandSecretRef"}
    if not semantic_equal(sources[0], sources[1]):
        shown = [go_struct("core.PersistentVolumeSource", source) for source in sources]
        detail = f"spec.persistentvolumesource is immutable after creation\n{diff(shown[1], shown[0])}"
        errs.append(forbidden("spec.persistentvolumesource", detail))
    immutable(errs, after.get("volumeMode"), before.get("volumeMode"), "volumeMode")
    where = before.get("nodeAffinity")
    if where is not None and not may_move and not semantic_equal(after.get("nodeAffinity"), where):
        errs.append(
            invalid(
                "nodeAffinity",
                go_struct("core.VolumeNodeAffinity", after.get("nodeAffinity")),
                f"{IMMUTABLE}, except for updating from beta label to GA",
            )
        )
    if before.get("volumeAttributesClassName") is not None and after.get("volumeAttributesClassName") is None:
        errs.append(forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"))


def claim(errs: Errors, obj: Thing) -> None:
    claim_spec(errs, obj.get("spec") or {}, "spec")


def _storage(spec: Object) -> Any:
    return ((spec.get("resources") or {}).get("requests") or {}).get("storage") or "0"


def claim_update(errs: Errors, new: Thing, old: Thing) -> None:
    """A bound claim may grow and change its attributes class; otherwise only the volume's name may come."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    sources = (before.get("dataSource") or {}, before.get("dataSourceRef") or {})
    claim_spec(errs, after, "spec", any_group=any(source.get("apiGroup") is not None for source in sources))
    masked, was = dict(after), dict(before)
    if not before.get("volumeName"):
        was["volumeName"] = after.get("volumeName")
    notes, old_notes = new["metadata"].get("annotations") or {}, old["metadata"].get("annotations") or {}
    if notes.get(_BETA_CLASS, "") != old_notes.get(_BETA_CLASS, "") and not (
        _BETA_CLASS in old_notes and _BETA_CLASS not in notes and after.get("storageClassName") == old_notes[_BETA_CLASS]
    ):
        errs.append(invalid(f"metadata.annotations.{_BETA_CLASS}", notes.get(_BETA_CLASS, ""), IMMUTABLE))
    storage = after.get("storageClassName")
    if before.get("storageClassName") is None and storage is not None and old_notes.get(_BETA_CLASS, storage) == storage:
        masked["storageClassName"] = None
    if (new.get("status") or {}).get("phase") == "Bound":
        masked["volumeAttributesClassName"] = before.get("volumeAttributesClassName")
        requests = dict((after.get("resources") or {}).get("requests") or {})
        if requests:
            requests["storage"] = _storage(before)
            masked["resources"] = {**after["resources"], "requests": requests}
    if not semantic_equal(masked, was):
        detail = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        shown = [go_struct("core.PersistentVolumeClaimSpec", value) for value in (was, masked)]
        errs.append(forbidden("spec", f"{detail}\n{diff(*shown)}"))
    size, old_size = quantity(_storage(after)), quantity(_storage(before))
    if size < old_size:
        capacity = quantity(((old.get("status") or {}).get("capacity") or {}).get("storage") or "0")
        if not capacity < size:
            errs.append(forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"))
    immutable(errs, after.get("volumeMode"), before.get("volumeMode"), "volumeMode")
    if (old.get("status") or {}).get("currentVolumeAttributesClassName") is not None:
        name = after.get("volumeAttributesClassName")
        if name != before.get("volumeAttributesClassName") and not name:
            what = "nil" if name is None else "empty string"
            detail = f"update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
            errs.append(forbidden("spec.volumeAttributesClassName", detail))


def _resource_key(errs: Errors, name: str, path: str) -> bool:
    bad = label_key(name)
    each(errs, path, name, bad)
    if not bad and is_native(name) and name != "storage":
        errs.append(not_supported(path, name, ("storage",)))
        return False
    return not bad


def claim_status(errs: Errors, new: Thing, old: Thing) -> None:
    if not (new.get("spec") or {}).get("accessModes"):
        errs.append(required("Spec.accessModes"))
    status = new.get("status") or {}
    for name, text in (status.get("capacity") or {}).items():
        basic(errs, text, f"status.capacity[{name}]")
    for name, state in (status.get("allocatedResourceStatuses") or {}).items():
        _resource_key(errs, name, "status.allocatedResourceStatuses")
        if state not in _RESIZE:
            errs.append(not_supported("status.allocatedResourceStatuses", name, sorted(_RESIZE)))
    for name, text in (status.get("allocatedResources") or {}).items():
        if _resource_key(errs, name, "status.allocatedResources"):
            at = f"status.allocatedResources[{name}]"
            if quantity(text) < ZERO:
                basic(errs, text, at)
            else:
                amount(errs, "storage", text, at)
