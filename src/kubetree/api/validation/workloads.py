"""Replication controllers, replica sets, deployments, daemon sets, stateful sets and their revisions."""

from __future__ import annotations

from typing import Any

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.claims import claim_spec
from kubetree.api.validation.errors import Errors, Object, each, forbidden, invalid, not_supported, required
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.intstr import not_more_than_100_percent, plain_value, positive_int_or_percent
from kubetree.api.validation.metadata import NEGATIVE, immutable, label_selector, nonnegative, nonnegative_fields
from kubetree.api.validation.names import dns_label
from kubetree.api.validation.pods.spec import template, template_metadata
from kubetree.api.validation.rules import ChangeCheck
from kubetree.api.validation.selection import is_empty, selects, well_formed

Workload = dict[str, Any]
_MISMATCH = "`selector` does not match template `labels`"


def template_labels(spec: Object) -> dict[str, str]:
    """Labels of the pods that a workload makes."""
    labels: dict[str, str] = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    return labels


def shown_labels(spec: Object) -> dict[str, str] | None:
    """A template's labels as a message shows them: null where there are none."""
    return ((spec.get("template") or {}).get("metadata") or {}).get("labels")


def _always(errs: Errors, pod: Object, path: str, owner: str) -> None:
    """Pods of a workload run for good."""
    if pod.get("restartPolicy") != "Always":
        errs.append(not_supported(f"{path}.restartPolicy", pod.get("restartPolicy") or "", ("Always",)))
    if pod.get("activeDeadlineSeconds") is not None:
        errs.append(forbidden(f"{path}.activeDeadlineSeconds", f"activeDeadlineSeconds in {owner} is not Supported"))


def _template(errs: Errors, spec: Object, owner: str) -> None:
    value = spec.get("template") or {}
    template(errs, value, "spec.template")
    _always(errs, value.get("spec") or {}, "spec.template.spec", owner)


def _selector(errs: Errors, spec: Object, owner: str) -> bool:
    """Present, valid, not empty. False when it cannot be matched at all."""
    selector = spec.get("selector")
    if selector is None:
        errs.append(required("spec.selector"))
    else:
        label_selector(errs, selector, "spec.selector")
        if is_empty(selector):
            errs.append(invalid("spec.selector", selector, f"empty selector is invalid for {owner}"))
    if not well_formed(selector):
        errs.append(invalid("spec.selector", selector, "invalid label selector"))
        return False
    return True


def replication_controller(errs: Errors, obj: Workload) -> None:
    spec = obj.get("spec") or {}
    nonnegative(errs, spec.get("minReadySeconds"), "spec.minReadySeconds")
    selector = spec.get("selector")
    if not selector:
        errs.append(required("spec.selector"))
    if spec.get("replicas") is None:
        errs.append(required("spec.replicas"))
    nonnegative(errs, spec.get("replicas"), "spec.replicas")
    if spec.get("template") is None:
        errs.append(required("spec.template"))
        return
    labels = template_labels(spec)
    if selector and not selects({"matchLabels": selector}, labels):
        errs.append(invalid("spec.template.metadata.labels", shown_labels(spec), _MISMATCH))
    _template(errs, spec, "ReplicationController")


def replica_set(errs: Errors, obj: Workload) -> None:
    spec = obj.get("spec") or {}
    nonnegative_fields(errs, spec, "spec", "replicas", "minReadySeconds")
    _selected_template(errs, spec)


def _selected_template(errs: Errors, spec: Object) -> None:
    if _selector(errs, spec, "deployment"):
        labels = template_labels(spec)
        if not (spec.get("selector") is not None and is_empty(spec["selector"])) and not selects(spec.get("selector"), labels):
            errs.append(invalid("spec.template.metadata.labels", shown_labels(spec), _MISMATCH))
        _template(errs, spec, "ReplicaSet")


def keeps_selector(create: Any) -> ChangeCheck:
    """An update: valid as a creation, with the selector it had."""

    def check(errs: Errors, new: Workload, old: Workload) -> None:
        create(errs, new)
        immutable(errs, (new.get("spec") or {}).get("selector"), (old.get("spec") or {}).get("selector"), "spec.selector")

    return check


def daemon_set_update(errs: Errors, new: Workload, old: Workload) -> None:
    """Here the selector comes first."""
    immutable(errs, (new.get("spec") or {}).get("selector"), (old.get("spec") or {}).get("selector"), "spec.selector")
    daemon_set(errs, new)


def _deployment_strategy(errs: Errors, strategy: Object) -> None:
    path, rolling = "spec.strategy", strategy.get("rollingUpdate")
    sort = strategy.get("type")
    if sort == "Recreate":
        if rolling is not None:
            errs.append(forbidden(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"))
    elif sort == "RollingUpdate":
        if rolling is None:
            errs.append(required(f"{path}.rollingUpdate", "this should be defaulted and never be nil"))
            return
        unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        at = f"{path}.rollingUpdate.maxUnavailable"
        positive_int_or_percent(errs, unavailable, at)
        positive_int_or_percent(errs, surge, f"{path}.rollingUpdate.maxSurge")
        if plain_value(unavailable) == 0 and plain_value(surge) == 0:
            errs.append(invalid(at, unavailable if unavailable is not None else 0, "may not be 0 when `maxSurge` is 0"))
        not_more_than_100_percent(errs, unavailable, at)
    else:
        errs.append(not_supported(path, go_struct("apps.DeploymentStrategy", strategy), ("Recreate", "RollingUpdate")))


def deployment(errs: Errors, obj: Workload) -> None:
    spec = obj.get("spec") or {}
    nonnegative(errs, spec.get("replicas"), "spec.replicas")
    _selected_template(errs, spec)
    _deployment_strategy(errs, spec.get("strategy") or {})
    nonnegative_fields(errs, spec, "spec", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        errs.append(invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))


def _daemon_strategy(errs: Errors, strategy: Object) -> None:
    path, sort, rolling = "spec.updateStrategy", strategy.get("type"), strategy.get("rollingUpdate")
    if sort == "RollingUpdate":
        if rolling is None:
            errs.append(required(f"{path}.rollingUpdate"))
            return
        for name in ("maxUnavailable", "maxSurge"):
            positive_int_or_percent(errs, rolling.get(name), f"{path}.rollingUpdate.{name}")
            not_more_than_100_percent(errs, rolling.get(name), f"{path}.rollingUpdate.{name}")
        unavailable, surge = plain_value(rolling.get("maxUnavailable")), plain_value(rolling.get("maxSurge"))
        if unavailable and surge:
            detail = "may not be set when maxUnavailable is non-zero"
            errs.append(invalid(f"{path}.rollingUpdate.maxSurge", rolling.get("maxSurge"), detail))
        elif not unavailable and not surge:
            errs.append(required(f"{path}.rollingUpdate.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    elif sort != "OnDelete":
        errs.append(not_supported(path, go_struct("apps.DaemonSetUpdateStrategy", strategy), ("RollingUpdate", "OnDelete")))


def daemon_set(errs: Errors, obj: Workload) -> None:
    spec = obj.get("spec") or {}
    selector, labels = spec.get("selector"), template_labels(spec)
    label_selector(errs, selector, "spec.selector")
    if well_formed(selector) and not selects(selector, labels):
        errs.append(invalid("spec.template.metadata.labels", shown_labels(spec), _MISMATCH))
    if selector is not None and is_empty(selector):
        errs.append(invalid("spec.selector", selector, "empty selector is invalid for daemonset"))
    _template(errs, spec, "DaemonSet")
    nonnegative(errs, spec.get("minReadySeconds"), "spec.minReadySeconds")
    _daemon_strategy(errs, spec.get("updateStrategy") or {})
    nonnegative(errs, spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit")


def _stateful_strategy(errs: Errors, strategy: Object) -> None:
    path, sort, rolling = "spec.updateStrategy", strategy.get("type"), strategy.get("rollingUpdate")
    if not sort:
        errs.append(required(path))
    elif sort == "OnDelete":
        if rolling is not None:
            shown = go_struct("apps.RollingUpdateStatefulSetStrategy", rolling)
            errs.append(invalid(f"{path}.rollingUpdate", shown, "only allowed for updateStrategy 'RollingUpdate'"))
    elif sort == "RollingUpdate":
        if rolling is not None:
            nonnegative(errs, rolling.get("partition"), f"{path}.rollingUpdate.partition")
            most, at = rolling.get("maxUnavailable"), f"{path}.rollingUpdate.maxUnavailable"
            if most is not None:
                positive_int_or_percent(errs, most, at)
                if plain_value(most) == 0:
                    errs.append(invalid(at, most, "cannot be 0"))
                not_more_than_100_percent(errs, most, at)
    else:
        errs.append(invalid(path, go_struct("apps.StatefulSetUpdateStrategy", strategy), "must be 'RollingUpdate' or 'OnDelete'"))


def _stateful_template(errs: Errors, spec: Object) -> None:
    """Host name and subdomain are the controller's; claim templates add volumes."""
    value = spec.get("template") or {}
    pod = {k: v for k, v in (value.get("spec") or {}).items() if k not in ("subdomain", "hostname")}
    claims = {(c.get("metadata") or {}).get("name") or "" for c in spec.get("volumeClaimTemplates") or ()}
    if claims:
        added = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in sorted(claims)]
        pod["volumes"] = added + [v for v in pod.get("volumes") or () if v.get("name") not in claims]
    metadata = value.get("metadata") or {}
    template(errs, {"metadata": metadata, "spec": pod}, "spec.template")
    template_metadata(errs, metadata, pod, "spec.template")


def _stateful_spec(errs: Errors, spec: Object, *, new: bool) -> None:
    management = spec.get("podManagementPolicy")
    if not management:
        errs.append(required("spec.podManagementPolicy"))
    elif management not in ("OrderedReady", "Parallel"):
        errs.append(invalid("spec.podManagementPolicy", management, "must be 'OrderedReady' or 'Parallel'"))
    _stateful_strategy(errs, spec.get("updateStrategy") or {})
    retention = spec.get("persistentVolumeClaimRetentionPolicy")
    if retention is not None:
        for when in ("whenDeleted", "whenScaled"):
            if retention.get(when) not in ("Retain", "Delete"):
                at = f"spec.persistentVolumeClaimRetentionPolicy.{when}"
                errs.append(not_supported(at, retention.get(when) or "", ("Retain", "Delete")))
    if new:
        for i, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
            claim_spec(errs, claim.get("spec") or {}, f"spec.volumeClaimTemplates[{i}].spec")
    nonnegative_fields(errs, spec, "spec", "replicas", "minReadySeconds")
    if spec.get("ordinals"):
        nonnegative(errs, spec["ordinals"].get("start"), "spec.ordinals.start")
    if new and spec.get("serviceName"):
        each(errs, "spec.serviceName", spec["serviceName"], dns_label(spec["serviceName"]))
    selector = spec.get("selector")
    if selector is None:
        errs.append(required("spec.selector"))
    else:
        label_selector(errs, selector, "spec.selector")
        if is_empty(selector):
            errs.append(invalid("spec.selector", selector, "empty selector is invalid for statefulset"))
    if not well_formed(selector):
        errs.append(invalid("spec.selector", selector, ""))
    else:
        labels = template_labels(spec)
        if not (selector is not None and is_empty(selector)) and not selects(selector, labels):
            errs.append(invalid("spec.template.metadata.labels", shown_labels(spec), _MISMATCH))
        _stateful_template(errs, spec)
    _always(errs, (spec.get("template") or {}).get("spec") or {}, "spec.template.spec", "StatefulSet")


def stateful_set(errs: Errors, obj: Workload) -> None:
    _stateful_spec(errs, obj.get("spec") or {}, new=True)


_MUTABLE = frozenset(
    [
        "replicas",
        "template",
        "updateStrategy",
        "minReadySeconds",
        "ordinals",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
    ]
)
_STATEFUL_FORBIDDEN = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
    "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def stateful_set_update(errs: Errors, new: Workload, old: Workload) -> None:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    _stateful_spec(errs, after, new=False)
    kept = [{k: v for k, v in spec.items() if k not in _MUTABLE} for spec in (after, before)]
    if not semantic_equal(kept[0], kept[1]):
        errs.append(forbidden("spec", _STATEFUL_FORBIDDEN))


def controller_revision(errs: Errors, obj: Workload) -> None:
    nonnegative(errs, obj.get("revision"), "revision")
    data = obj.get("data")
    if data is None:
        errs.append(required("data", "data is mandatory"))
    elif not isinstance(data, dict):
        errs.append(required("data", "data must be a valid JSON object"))


def controller_revision_update(errs: Errors, new: Workload, old: Workload) -> None:
    nonnegative(errs, new.get("revision"), "revision")
    if new.get("data") != old.get("data"):
        errs.append(invalid("data", new.get("data"), "field is immutable"))


def counts(*names: str, below: tuple[str, ...], ready: str = "", ready_text: str = "readyReplicas") -> ChangeCheck:
    """A status of counts: not negative, `below` no more than status.replicas, collisionCount never less than it was."""

    def check(errs: Errors, new: Workload, old: Workload) -> None:
        status, was = new.get("status") or {}, old.get("status") or {}
        for name in names:
            value = status.get(name)
            if value is not None and value < 0:
                errs.append(invalid(f"status.{name}", value, NEGATIVE))
        replicas = status.get("replicas") or 0
        for name in below:
            if (status.get(name) or 0) > replicas:
                errs.append(invalid(f"status.{name}", status.get(name) or 0, "cannot be greater than status.replicas"))
        if ready and (status.get("availableReplicas") or 0) > (status.get(ready) or 0):
            errs.append(invalid("status.availableReplicas", status.get("availableReplicas") or 0, f"cannot be greater than {ready_text}"))
        before, after = was.get("collisionCount"), status.get("collisionCount")
        if before is not None and (after is None or after < before):
            errs.append(invalid("status.collisionCount", after or 0, "cannot be decremented"))

    return check


_REPLICAS = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
replica_status = counts("replicas", *_REPLICAS, "observedGeneration", "terminatingReplicas", below=_REPLICAS, ready="readyReplicas")
deployment_status = counts(
    "observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas",
    "terminatingReplicas", "collisionCount",
    below=("updatedReplicas", "readyReplicas", "availableReplicas"), ready="readyReplicas",
)  # fmt: skip
stateful_set_status = counts(
    "replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", "observedGeneration", "collisionCount",
    below=("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
    ready="readyReplicas", ready_text="status.readyReplicas",
)  # fmt: skip
daemon_set_status = counts(
    "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "observedGeneration",
    "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount", below=(),
)  # fmt: skip
