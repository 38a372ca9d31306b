"""Nodes, namespaces, configuration, volumes and events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubetree.api.printers.text import access_modes, created, since

Object = Mapping[str, Any]
Cells = list[Any]


def _name(obj: Object) -> Any:
    return obj["metadata"].get("name")


def named(obj: Object, now: datetime) -> Cells:
    """Kinds of which only name and age are shown."""
    return [_name(obj), created(obj, now)]


def plain(obj: Object, now: datetime) -> Cells:
    """Kinds without a printer of their own: name and time of creation."""
    return [_name(obj), obj["metadata"].get("creationTimestamp")]


_ROLE = "node-role.kubernetes.io/"


def _roles(labels: Mapping[str, str]) -> str:
    roles = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE)}
    roles.add(labels.get("kubernetes.io/role") or "")
    return ",".join(sorted(roles - {""})) or "<none>"


def node(obj: Object, now: datetime) -> Cells:
    status = obj.get("status") or {}
    info = status.get("nodeInfo") or {}
    ready = next((c for c in reversed(status.get("conditions") or ()) if c.get("type") == "Ready"), None)
    states = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if (obj.get("spec") or {}).get("unschedulable"):
        states.append("SchedulingDisabled")
    addresses: dict[str, str] = {}
    for address in status.get("addresses") or ():
        addresses.setdefault(address.get("type") or "", address.get("address") or "")
    kernel = info.get("kernelVersion") or "<unknown>"
    if info.get("architecture"):
        kernel = f"{kernel} ({info['architecture']})"
    return [
        _name(obj),
        ",".join(states),
        _roles(obj["metadata"].get("labels") or {}),
        created(obj, now),
        info.get("kubeletVersion") or "",
        addresses.get("InternalIP", "<none>"),
        addresses.get("ExternalIP", "<none>"),
        info.get("osImage") or "<unknown>",
        kernel,
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def namespace(obj: Object, now: datetime) -> Cells:
    return [_name(obj), (obj.get("status") or {}).get("phase") or "", created(obj, now)]


def secret(obj: Object, now: datetime) -> Cells:
    return [_name(obj), obj.get("type") or "", len(obj.get("data") or ()), created(obj, now)]


def config_map(obj: Object, now: datetime) -> Cells:
    return [_name(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), created(obj, now)]


_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"


def _class(obj: Object) -> str:
    beta: str | None = (obj["metadata"].get("annotations") or {}).get(_BETA_CLASS)
    return beta if beta is not None else (obj.get("spec") or {}).get("storageClassName") or ""


def _phase(obj: Object) -> str:
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else (obj.get("status") or {}).get("phase") or ""


def _or_unset(value: str | None) -> str:
    return "<unset>" if value is None else value


def persistent_volume(obj: Object, now: datetime) -> Cells:
    spec, ref = obj.get("spec") or {}, (obj.get("spec") or {}).get("claimRef")
    return [
        _name(obj),
        str((spec.get("capacity") or {}).get("storage") or "0"),
        access_modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy") or "",
        _phase(obj),
        f"{ref.get('namespace') or ''}/{ref.get('name') or ''}" if ref else "",
        _class(obj),
        _or_unset(spec.get("volumeAttributesClassName")),
        (obj.get("status") or {}).get("reason") or "",
        created(obj, now),
        _or_unset(spec.get("volumeMode")),
    ]


def persistent_volume_claim(obj: Object, now: datetime) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    volume = spec.get("volumeName") or ""
    return [
        _name(obj),
        _phase(obj),
        volume,
        str((status.get("capacity") or {}).get("storage") or "0") if volume else "",
        access_modes(status.get("accessModes")) if volume else "",
        _class(obj),
        _or_unset(spec.get("volumeAttributesClassName")),
        created(obj, now),
        _or_unset(spec.get("volumeMode")),
    ]


def resource_quota(obj: Object, now: datetime) -> Cells:
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    shown = {name: f"{name}: {used.get(name) or 0}/{hard[name]}" for name in sorted(hard)}
    limits = [text for name, text in shown.items() if name.startswith("limits.")]
    requests = [text for name, text in shown.items() if not name.startswith("limits.")]
    return [_name(obj), ", ".join(requests), ", ".join(limits), created(obj, now)]


def component_status(obj: Object, now: datetime) -> Cells:
    condition = next((c for c in obj.get("conditions") or () if c.get("type") == "Healthy"), None)
    if condition is None:
        return [_name(obj), "Unknown", "", ""]
    state = "Healthy" if condition.get("status") == "True" else "Unhealthy"
    return [_name(obj), state, condition.get("message") or "", condition.get("error") or ""]


def _event(obj: Object, now: datetime, *, about: str, source: str, first: str, last: str, count: str, note: str, controller: str) -> Cells:
    """Both forms of events; the parameters name their fields."""
    target, origin, series = obj.get(about) or {}, obj.get(source) or {}, obj.get("series")
    began = since(obj.get(first) or obj.get("eventTime"), now)
    ended = since(obj[last], now) if obj.get(last) else began
    times = obj.get(count) or 1
    if series:
        ended, times = since(series.get("lastObservedTime"), now), series.get("count") or 0
    kind = (target.get("kind") or "").lower()
    component = origin.get("component") or obj.get(controller) or ""
    instance = origin.get("host") or obj.get("reportingInstance") or ""
    return [
        ended,
        obj.get("type") or "",
        obj.get("reason") or "",
        f"{kind}/{target['name']}" if target.get("name") else kind,
        target.get("fieldPath") or "",
        f"{component}, {instance}" if instance else component,
        (obj.get(note) or "").strip(),
        began,
        times,
        _name(obj),
    ]


def event(obj: Object, now: datetime) -> Cells:
    return _event(
        obj, now, about="involvedObject", source="source", first="firstTimestamp", last="lastTimestamp", count="count", note="message",
        controller="reportingComponent",
    )  # fmt: skip


def new_event(obj: Object, now: datetime) -> Cells:
    return _event(
        obj, now, about="regarding", source="deprecatedSource", first="deprecatedFirstTimestamp", last="deprecatedLastTimestamp",
        count="deprecatedCount", note="note", controller="reportingController",
    )  # fmt: skip


def lease(obj: Object, now: datetime) -> Cells:
    return [_name(obj), (obj.get("spec") or {}).get("holderIdentity") or "", created(obj, now)]


def storage_class(obj: Object, now: datetime) -> Cells:
    metadata, notes = obj["metadata"], obj["metadata"].get("annotations") or {}
    default = any(notes.get(f"{p}.kubernetes.io/is-default-class") == "true" for p in ("storageclass", "storageclass.beta"))
    return [
        f"{metadata.get('name')} (default)" if default else metadata.get("name"),
        obj.get("provisioner") or "",
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        bool(obj.get("allowVolumeExpansion")),
        created(obj, now),
    ]


def volume_attributes_class(obj: Object, now: datetime) -> Cells:
    return [_name(obj), obj.get("driverName") or "", created(obj, now)]


def volume_attachment(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    volume = (spec.get("source") or {}).get("persistentVolumeName") or ""
    attached = bool((obj.get("status") or {}).get("attached"))
    return [_name(obj), spec.get("attacher") or "", volume, spec.get("nodeName") or "", attached, created(obj, now)]


def csi_node(obj: Object, now: datetime) -> Cells:
    return [_name(obj), len((obj.get("spec") or {}).get("drivers") or ()), created(obj, now)]


def csi_driver(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    tokens = spec.get("tokenRequests")
    return [
        _name(obj),
        spec.get("attachRequired") is not False,
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        "<unset>" if tokens is None else ",".join(t.get("audience") or "" for t in tokens),
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
        created(obj, now),
    ]


def priority_class(obj: Object, now: datetime) -> Cells:
    return [_name(obj), obj.get("value") or 0, bool(obj.get("globalDefault")), created(obj, now), obj.get("preemptionPolicy") or ""]


def runtime_class(obj: Object, now: datetime) -> Cells:
    return [_name(obj), obj.get("handler") or "", created(obj, now)]
