"""Workloads: what keeps pods running."""

from __future__ import annotations

from typing import Any

from kubetree.api.defaults.pods import template
from kubetree.api.defaults.volumes import claim_spec


def _set(parent: dict[str, Any], name: str, value: Any) -> None:
    if parent.get(name) is None:
        parent[name] = value


def _child(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value: dict[str, Any] | None = parent.get(name)
    if value is None:
        value = parent[name] = {}
    return value


def pod_template(obj: dict[str, Any]) -> None:
    template(obj)


def _template_labels(spec: dict[str, Any]) -> dict[str, str] | None:
    labels: dict[str, str] | None = spec["template"]["metadata"].get("labels")
    return labels


def replication_controller(obj: dict[str, Any]) -> None:
    """Selector and labels follow the template's labels."""
    spec = _child(obj, "spec")
    _set(spec, "replicas", 1)
    if spec.get("template") is None:
        return
    template(spec)
    labels = _template_labels(spec)
    if labels is not None:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not _child(obj, "metadata").get("labels"):
            obj["metadata"]["labels"] = dict(labels)


def replica_set(obj: dict[str, Any]) -> None:
    spec = _child(obj, "spec")
    _set(spec, "replicas", 1)
    template(spec)


def deployment(obj: dict[str, Any]) -> None:
    spec = _child(obj, "spec")
    _set(spec, "replicas", 1)
    _set(spec, "revisionHistoryLimit", 10)
    _set(spec, "progressDeadlineSeconds", 600)
    strategy = _child(spec, "strategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = _child(strategy, "rollingUpdate")
        _set(rolling, "maxUnavailable", "25%")
        _set(rolling, "maxSurge", "25%")
    template(spec)


def daemon_set(obj: dict[str, Any]) -> None:
    _child(_child(obj, "metadata"), "annotations").setdefault("deprecated.daemonset.template.generation", "0")
    spec = _child(obj, "spec")
    _set(spec, "revisionHistoryLimit", 10)
    strategy = _child(spec, "updateStrategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = _child(strategy, "rollingUpdate")
        _set(rolling, "maxUnavailable", 1)
        _set(rolling, "maxSurge", 0)
    template(spec)


def stateful_set(obj: dict[str, Any]) -> None:
    spec = _child(obj, "spec")
    if not spec.get("podManagementPolicy"):
        spec["podManagementPolicy"] = "OrderedReady"
    strategy = _child(spec, "updateStrategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        _child(strategy, "rollingUpdate")
    if strategy["type"] == "RollingUpdate" and strategy.get("rollingUpdate") is not None:
        _set(strategy["rollingUpdate"], "partition", 0)
    retention = _child(spec, "persistentVolumeClaimRetentionPolicy")
    for when in ("whenDeleted", "whenScaled"):
        if not retention.get(when):
            retention[when] = "Retain"
    _set(spec, "replicas", 1)
    _set(spec, "revisionHistoryLimit", 10)
    template(spec)
    for claim in spec.get("volumeClaimTemplates") or ():
        claim["kind"], claim["apiVersion"] = "PersistentVolumeClaim", "v1"
        claim.setdefault("metadata", {})
        claim_spec(_child(claim, "spec"))
        status = _child(claim, "status")
        if not status.get("phase"):
            status["phase"] = "Pending"


def _job_spec(spec: dict[str, Any]) -> None:
    """What Jobs and the job templates of CronJobs share: conditions in failure policies, and the template."""
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            if not pattern.get("status"):
                pattern["status"] = "True"
    template(spec)


def job(obj: dict[str, Any]) -> None:
    spec = _child(obj, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    _set(spec, "parallelism", 1)
    _set(spec, "backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else 2147483647)
    _job_spec(spec)
    labels = _template_labels(spec)
    if labels is not None and not _child(obj, "metadata").get("labels"):
        obj["metadata"]["labels"] = labels  # one object: what the strategy adds to the template's is the job's too
    _set(spec, "completionMode", "NonIndexed")
    _set(spec, "suspend", False)
    _set(spec, "podReplacementPolicy", "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed")
    _set(spec, "manualSelector", False)


def cron_job(obj: dict[str, Any]) -> None:
    spec = _child(obj, "spec")
    if not spec.get("concurrencyPolicy"):
        spec["concurrencyPolicy"] = "Allow"
    _set(spec, "suspend", False)
    _set(spec, "successfulJobsHistoryLimit", 3)
    _set(spec, "failedJobsHistoryLimit", 1)
    job_template = _child(spec, "jobTemplate")
    job_template.setdefault("metadata", {})
    _job_spec(_child(job_template, "spec"))
