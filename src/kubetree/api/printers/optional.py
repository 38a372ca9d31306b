"""Cells of kinds that are served only when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubetree.api.objects import condition
from kubetree.api.printers.text import created, labels, listed, since

Object = Mapping[str, Any]


def storage_version(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status") or {}
    entries = [f"{entry.get('apiServerID') or ''}={entry.get('encodingVersion') or ''}" for entry in status.get("storageVersions") or ()]
    return [
        obj["metadata"]["name"],
        status.get("commonEncodingVersion") or "<unset>",
        listed(entries, 3) if entries else "<unset>",
        created(obj, now),
    ]


def trust_bundle(obj: Object, now: datetime) -> list[Any]:
    return [obj["metadata"]["name"], (obj.get("spec") or {}).get("signerName") or "<none>"]


def pod_certificate_request(obj: Object, now: datetime) -> list[Any]:
    spec, state = obj.get("spec") or {}, "Pending"
    for found in (obj.get("status") or {}).get("conditions") or ():
        if found.get("type") in ("Issued", "Denied", "Failed"):
            state = found["type"]
    names = [spec.get(name) or "" for name in ("podName", "serviceAccountName", "nodeName", "signerName")]
    return [obj["metadata"]["name"], *names, state, labels(spec.get("unverifiedUserAnnotations"))]


def lease_candidate(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    told = [spec.get(name) or "" for name in ("leaseName", "binaryVersion", "emulationVersion")]
    return [obj["metadata"]["name"], *told, created(obj, now)]


def taint_rule(obj: Object, now: datetime) -> list[Any]:
    taint = (obj.get("spec") or {}).get("taint") or {}
    added = since(taint["timeAdded"], now) if taint.get("timeAdded") else ""
    told = [taint.get(name) or "" for name in ("key", "value", "effect")]
    return [obj["metadata"]["name"], *told, added, created(obj, now)]


_COUNTS = ("totalDevices", "availableDevices", "allocatedDevices", "unavailableDevices")


def pool_status_request(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status")
    pools, count = (status or {}).get("pools") or [], (status or {}).get("poolCount") or 0
    decisive = next(
        (c for c in (status or {}).get("conditions") or () if c.get("type") in ("Complete", "Failed") and c.get("status") == "True"), None
    )
    state = decisive["type"] if decisive is not None else "Pending"
    completed = since(decisive.get("lastTransitionTime"), now) if decisive is not None and state == "Complete" else "<none>"
    numbers = ["-"] * 5
    if status is not None and state != "Failed":
        numbers = [str(sum(pool.get(name) or 0 for pool in pools)) for name in _COUNTS]
        numbers.append(str(sum(pool.get("validationError") is not None for pool in pools)))
    if state == "Complete" and count > len(pools):
        state = f"Complete ({len(pools)}/{count} pools)"
    return [obj["metadata"]["name"], (obj.get("spec") or {}).get("driver") or "", *numbers, count, state, completed]


def storage_version_migration(obj: Object, now: datetime) -> list[Any]:
    found, state = (obj.get("spec") or {}).get("resource") or {}, "Unknown"
    for told in (obj.get("status") or {}).get("conditions") or ():
        if told.get("status") == "True" and told.get("type") in ("Running", "Failed", "Succeeded"):
            state = told["type"]
    resource, group = found.get("resource") or "", found.get("group") or ""
    return [obj["metadata"]["name"], f"{resource}.{group}" if group else resource, state]


def pod_group(obj: Object, now: datetime) -> list[Any]:
    spec, state = obj.get("spec") or {}, "Pending"
    scheduled, disrupted = condition(obj, "PodGroupScheduled"), condition(obj, "DisruptionTarget")
    if scheduled is not None:
        state = "Scheduled" if scheduled.get("status") == "True" else "Unschedulable"
    if disrupted is not None:
        state = disrupted.get("reason") or ""
    policy = "Gang" if (spec.get("schedulingPolicy") or {}).get("gang") is not None else "Basic"
    reference = spec.get("podGroupTemplateRef")
    workload = ((reference.get("workload") or {}).get("workloadName") or "") if reference is not None else "<none>"
    return [obj["metadata"]["name"], policy, workload, state, created(obj, now)]
