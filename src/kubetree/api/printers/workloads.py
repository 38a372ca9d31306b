"""Workloads, jobs and autoscalers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubetree.api.conversion import convert
from kubetree.api.printers.text import between, boolean, containers, created, labels, selector, since

Object = Mapping[str, Any]
Cells = list[Any]


def _pod(obj: Object) -> Object:
    spec: Object = ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    return spec


def pod_template(obj: Object, now: datetime) -> Cells:
    template = obj.get("template") or {}
    return [obj["metadata"].get("name"), *containers(template.get("spec")), labels((template.get("metadata") or {}).get("labels"))]


def replicas(obj: Object, now: datetime) -> Cells:
    """Replica sets and replication controllers."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    chosen = spec.get("selector")
    return [
        obj["metadata"].get("name"),
        spec.get("replicas") or 0,
        status.get("replicas") or 0,
        status.get("readyReplicas") or 0,
        created(obj, now),
        *containers(_pod(obj)),
        labels(chosen) if obj.get("kind") == "ReplicationController" else selector(chosen),
    ]


def replication_controller(obj: Object, now: datetime) -> Cells:
    return [*replicas(obj, now)[:-1], labels((obj.get("spec") or {}).get("selector"))]


def deployment(obj: Object, now: datetime) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    chosen = selector(spec.get("selector"))
    return [
        obj["metadata"].get("name"),
        f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}",
        status.get("updatedReplicas") or 0,
        status.get("availableReplicas") or 0,
        created(obj, now),
        *containers(_pod(obj)),
        {"<none>": "", "<error>": "<invalid>"}.get(chosen, chosen),
    ]


def daemon_set(obj: Object, now: datetime) -> Cells:
    status = obj.get("status") or {}
    counts = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable")
    return [
        obj["metadata"].get("name"),
        *(status.get(name) or 0 for name in counts),
        labels(_pod(obj).get("nodeSelector")),
        created(obj, now),
        *containers(_pod(obj)),
        selector((obj.get("spec") or {}).get("selector")),
    ]


def stateful_set(obj: Object, now: datetime) -> Cells:
    ready, wanted = (obj.get("status") or {}).get("readyReplicas") or 0, (obj.get("spec") or {}).get("replicas") or 0
    return [obj["metadata"].get("name"), f"{ready}/{wanted}", created(obj, now), *containers(_pod(obj))]


def controller_revision(obj: Object, now: datetime) -> Cells:
    owner = next((o for o in obj["metadata"].get("ownerReferences") or () if o.get("controller")), None)
    name = "<none>"
    if owner is not None:
        group = (owner.get("apiVersion") or "").rpartition("/")[0]
        kind = f"{owner.get('kind')}.{group}" if group else str(owner.get("kind"))
        name = f"{kind.lower()}/{owner.get('name')}"
    return [obj["metadata"].get("name"), name, obj.get("revision") or 0, created(obj, now)]


_JOB_STATES = (("Complete", "Complete"), ("Failed", "Failed"), ("", "Terminating"), ("Suspended", "Suspended"),
               ("FailureTarget", "FailureTarget"), ("SuccessCriteriaMet", "SuccessCriteriaMet"))  # fmt: skip


def job(obj: Object, now: datetime) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    succeeded, completions, parallelism = status.get("succeeded") or 0, spec.get("completions"), spec.get("parallelism") or 0
    if completions is not None:
        done = f"{succeeded}/{completions}"
    else:
        done = f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"
    start = status.get("startTime")
    true = {c.get("type") for c in status.get("conditions") or () if c.get("status") == "True"}
    if obj["metadata"].get("deletionTimestamp"):
        true.add("")
    state = next((shown for condition, shown in _JOB_STATES if condition in true), "Running")
    return [
        obj["metadata"].get("name"),
        state,
        done,
        between(start, status.get("completionTime"), now) if start else "",
        created(obj, now),
        *containers(_pod(obj)),
        selector(spec.get("selector")),
    ]


def cron_job(obj: Object, now: datetime) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    job_spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    last = status.get("lastScheduleTime")
    return [
        obj["metadata"].get("name"),
        spec.get("schedule") or "",
        spec.get("timeZone") or "<none>",
        boolean(spec.get("suspend")),
        len(status.get("active") or ()),
        since(last, now) if last else "<none>",
        created(obj, now),
        *containers((job_spec.get("template") or {}).get("spec")),
        selector(job_spec.get("selector")),
    ]


def disruption_budget(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    bounds = [str(spec[n]) if spec.get(n) is not None else "N/A" for n in ("minAvailable", "maxUnavailable")]
    return [obj["metadata"].get("name"), *bounds, (obj.get("status") or {}).get("disruptionsAllowed") or 0, created(obj, now)]


_SOURCES = {"External": "external", "Pods": "pods", "Object": "object", "Resource": "resource", "ContainerResource": "containerResource"}


def _metric(metric: Object, status: Object) -> str:
    field = _SOURCES.get(metric.get("type") or "")
    if field is None:
        return "<unknown type>"
    source, found = metric.get(field) or {}, status.get(field)
    target, current = source.get("target") or {}, (found or {}).get("current") or {}
    average = target.get("averageValue")
    if field in ("resource", "containerResource"):
        if average is not None:
            shown = current.get("averageValue") if found is not None else None
            return f"{source.get('name')}: {shown or '<unknown>'}/{average}"
        used, wanted = current.get("averageUtilization"), target.get("averageUtilization")
        left, right = "<unknown>" if used is None else f"{used}%", "<auto>" if wanted is None else f"{wanted}%"
        return f"{source.get('name')}: {left}/{right}"
    if field == "pods":
        return f"{current.get('averageValue') or '<unknown>'}/{average}"
    if average is not None:
        return f"{current.get('averageValue') or '<unknown>'}/{average} (avg)"
    return f"{current.get('value') or '<unknown>'}/{target.get('value')}"


def autoscaler(obj: Object, now: datetime) -> Cells:
    """autoscaling/v2; the API server converts v1 before it prints."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    metrics, statuses = spec.get("metrics") or [], status.get("currentMetrics") or []
    shown = [_metric(m, statuses[i] if i < len(statuses) else {}) for i, m in enumerate(metrics)]
    text = ", ".join(shown[:2]) if shown else "<none>"
    if len(shown) > 2:
        text = f"{text} + {len(shown) - 2} more..."
    target, least = spec.get("scaleTargetRef") or {}, spec.get("minReplicas")
    return [
        obj["metadata"].get("name"),
        f"{target.get('kind')}/{target.get('name')}",
        text,
        "<unset>" if least is None else str(least),
        spec.get("maxReplicas") or 0,
        status.get("currentReplicas") or 0,
        created(obj, now),
    ]


def autoscaler_v1(obj: Object, now: datetime) -> Cells:
    return autoscaler(convert(dict(obj), "autoscaling/v2"), now)


def scale(obj: Object, now: datetime) -> Cells:
    wanted, found = (obj.get("spec") or {}).get("replicas") or 0, (obj.get("status") or {}).get("replicas") or 0
    return [obj["metadata"].get("name"), wanted, found, created(obj, now)]
