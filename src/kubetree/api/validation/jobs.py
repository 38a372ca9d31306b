"""Jobs: work that ends."""

from __future__ import annotations

from typing import Any

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.errors import (
    INVALID,
    OMIT,
    Errors,
    FieldError,
    Object,
    duplicate,
    each,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)  # fmt: skip
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.metadata import immutable, label_selector, nonnegative, nonnegative_fields
from kubetree.api.validation.names import HTTP_PATH_MESSAGE, dns_label, dns_subdomain, http_path, label_key
from kubetree.api.validation.pods.spec import template
from kubetree.api.validation.selection import selects, well_formed
from kubetree.api.validation.workloads import template_labels

Job = dict[str, Any]
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_HIGH = 100_000


def omitted(path: str, detail: str) -> FieldError:
    """Invalid, without showing the value."""
    return FieldError(INVALID, path, OMIT, detail)


def _listed(names: tuple[str, ...]) -> str:
    return "valid values: [" + " ".join(f'"{n}"' for n in names) + "]"


def domain_path(errs: Errors, value: str, path: str) -> None:
    """`acme.io/foo`."""
    if not value:
        errs.append(required(path))
        return
    host, _, rest = value.partition("/")
    if not host or not rest:
        errs.append(invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")'))
        return
    each(errs, path, host, dns_subdomain(host))
    if not http_path(rest):
        errs.append(invalid(path, rest, HTTP_PATH_MESSAGE))


def _on_exit_codes(errs: Errors, rule: Object, path: str, containers: set[str]) -> None:
    operator, values = rule.get("operator") or "", rule.get("values") or []
    if not operator:
        errs.append(required(f"{path}.operator", _listed(("In", "NotIn"))))
    elif operator not in ("In", "NotIn"):
        errs.append(not_supported(f"{path}.operator", operator, ("In", "NotIn")))
    name = rule.get("containerName")
    if name is not None and name not in containers:
        detail = "must be one of the container or initContainer names in the pod template"
        errs.append(invalid(f"{path}.containerName", name, detail))
    if not values:
        errs.append(invalid(f"{path}.values", rule.get("values"), "at least one value is required"))
    elif len(values) > 255:
        errs.append(too_many(f"{path}.values", len(values), 255))
    seen: set[int] = set()
    for i, value in enumerate(values):
        if operator == "In" and value == 0:
            errs.append(invalid(f"{path}.values[{i}]", value, "must not be 0 for the In operator"))
        if value in seen:
            errs.append(duplicate(f"{path}.values[{i}]", value))
        seen.add(value)
    if values != sorted(values):
        errs.append(invalid(f"{path}.values", values, "must be ordered"))


def _failure_policy(errs: Errors, spec: Object, path: str) -> None:
    rules = spec["podFailurePolicy"].get("rules") or ()
    if len(rules) > 20:
        errs.append(too_many(f"{path}.rules", len(rules), 20))
    pod = (spec.get("template") or {}).get("spec") or {}
    containers = {c.get("name") or "" for group in ("containers", "initContainers") for c in pod.get(group) or ()}
    for i, rule in enumerate(rules):
        at, action = f"{path}.rules[{i}]", rule.get("action") or ""
        if not action:
            errs.append(required(f"{at}.action", _listed(_ACTIONS)))
        elif action == "FailIndex":
            if spec.get("backoffLimitPerIndex") is None:
                errs.append(invalid(f"{at}.action", action, "requires the backoffLimitPerIndex to be set"))
        elif action not in _ACTIONS:
            errs.append(not_supported(f"{at}.action", action, _ACTIONS))
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
        if codes is not None:
            _on_exit_codes(errs, codes, f"{at}.onExitCodes", containers)
        if len(conditions) > 20:
            errs.append(too_many(f"{at}.onPodConditions", len(conditions), 20))
        for j, pattern in enumerate(conditions):
            where, kind, status = f"{at}.onPodConditions[{j}]", pattern.get("type") or "", pattern.get("status") or ""
            each(errs, f"{where}.type", kind, label_key(kind))
            statuses = ("False", "True", "Unknown")
            if not status:
                errs.append(required(f"{where}.status", _listed(statuses)))
            elif status not in statuses:
                errs.append(not_supported(f"{where}.status", status, statuses))
        if codes is not None and conditions:
            errs.append(omitted(at, "specifying both OnExitCodes and OnPodConditions is not supported"))
        if codes is None and not conditions:
            errs.append(omitted(at, "specifying one of OnExitCodes and OnPodConditions is required"))


def index_intervals(text: str, completions: int) -> list[tuple[int, int]]:
    """`"1,3-5"`. Raises ValueError with upstream's wording."""
    intervals: list[tuple[int, int]] = []
    for fragment in text.split(",") if text else ():
        parts = fragment.split("-")
        if len(parts) > 2:
            raise ValueError(
                f"the fragment \"{fragment}\" violates the requirement that an index interval can have at most two parts separated by '-'"
            )
        numbers = []
        for part in parts:
            if not part.isascii() or not part.isdigit():
                raise ValueError(f'cannot convert string to integer for index: "{part}"')
            if int(part) >= completions:
                raise ValueError(f'too large index: "{part}"')
            numbers.append(int(part))
        first, last = numbers[0], numbers[-1]
        if len(numbers) == 2 and first >= last:
            raise ValueError(f"non-increasing order, previous: {first}, current: {last}")
        if intervals and intervals[-1][1] >= first:
            raise ValueError(f"non-increasing order, previous: {intervals[-1][1]}, current: {first}")
        intervals.append((first, last))
    return intervals


def _success_policy(errs: Errors, spec: Object, path: str) -> None:
    rules, completions = spec["successPolicy"].get("rules") or (), spec.get("completions") or 0
    if not rules:
        errs.append(required(f"{path}.rules", "at least one rules must be specified when the successPolicy is specified"))
    if len(rules) > 20:
        errs.append(too_many(f"{path}.rules", len(rules), 20))
    for i, rule in enumerate(rules):
        at, count, indexes = f"{path}.rules[{i}]", rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            errs.append(required(at, "at least one of succeededCount or succeededIndexes must be specified"))
        total = 0
        if indexes is not None:
            if len(indexes) > 64 * 1024:
                errs.append(too_long(f"{at}.succeededIndexes", 64 * 1024))
            try:
                total = sum(last - first + 1 for first, last in index_intervals(indexes, completions))
            except ValueError as error:
                errs.append(invalid(f"{at}.succeededIndexes", indexes, f"error parsing succeededIndexes: {error}"))
        if count is not None:
            where = f"{at}.succeededCount"
            nonnegative(errs, count, where)
            if count > completions:
                errs.append(invalid(where, count, f"must be less than or equal to {completions} (the number of specified completions)"))
            if indexes is not None and count > total:
                detail = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
                errs.append(invalid(where, count, detail))


def _indexed(errs: Errors, spec: Object, path: str) -> None:
    completions, parallelism, failed = spec.get("completions"), spec.get("parallelism"), spec.get("maxFailedIndexes")
    if completions is None:
        errs.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > _HIGH:
        detail = f"must be less than or equal to {_HIGH} when completion mode is Indexed"
        errs.append(invalid(f"{path}.parallelism", parallelism, detail))
    if completions is not None and failed is not None and failed > completions:
        errs.append(invalid(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions"))
    if failed is not None and failed > _HIGH:
        errs.append(invalid(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to {_HIGH}"))
    if completions is not None and completions > _HIGH and spec.get("backoffLimitPerIndex") is not None:
        if failed is None:
            errs.append(required(f"{path}.maxFailedIndexes", f"must be specified when completions is above {_HIGH}"))
        for name, value in (("parallelism", parallelism), ("maxFailedIndexes", failed)):
            if value is not None and value > 10_000:
                detail = f"must be less than or equal to 10000 when completions are above {_HIGH} and used with backoff limit per index"
                errs.append(invalid(f"{path}.{name}", value, detail))


_COUNTS = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex",
    "maxFailedIndexes",
)  # fmt: skip


def job_spec(errs: Errors, spec: Object, path: str, *, check_template: bool = True) -> None:
    """Shared by jobs and the templates of cron jobs."""
    nonnegative_fields(errs, spec, path, *_COUNTS)
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        errs.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    manager = spec.get("managedBy")
    if manager is not None:
        domain_path(errs, manager, f"{path}.managedBy")
        if len(manager) > 63:
            errs.append(too_long(f"{path}.managedBy", 63))
    mode = spec.get("completionMode")
    if mode is not None and mode not in ("NonIndexed", "Indexed"):
        errs.append(not_supported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed")))
    if mode == "Indexed":
        _indexed(errs, spec, path)
    elif mode in (None, "NonIndexed"):
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(name) is not None:
                errs.append(invalid(f"{path}.{name}", spec[name], "requires indexed completion mode"))
    failure, success = spec.get("podFailurePolicy"), spec.get("successPolicy")
    if failure is not None:
        _failure_policy(errs, spec, f"{path}.podFailurePolicy")
    if success is not None:
        if mode != "Indexed":
            errs.append(invalid(f"{path}.successPolicy", go_struct("batch.SuccessPolicy", success), "requires indexed completion mode"))
        else:
            _success_policy(errs, spec, f"{path}.successPolicy")
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None:
        allowed = ("Failed",) if failure is not None else ("Failed", "TerminatingOrFailed")
        if replacement not in allowed:
            errs.append(not_supported(f"{path}.podReplacementPolicy", replacement, allowed))
    value = spec.get("template") or {}
    if check_template:
        template(errs, value, f"{path}.template")
    at, restart = f"{path}.template.spec.restartPolicy", (value.get("spec") or {}).get("restartPolicy") or ""
    if restart in ("Always", ""):
        errs.append(required(at, 'valid values: "OnFailure", "Never"'))
    elif restart not in ("OnFailure", "Never"):
        errs.append(not_supported(at, restart, ("OnFailure", "Never")))
    elif failure is not None and restart != "Never":
        errs.append(invalid(at, restart, 'only "Never" is supported when podFailurePolicy is specified'))


def _generated(errs: Errors, job: Job) -> None:
    spec, metadata = job.get("spec") or {}, job["metadata"]
    selector = spec.get("selector")
    if spec.get("manualSelector") or selector is None:
        return
    name, uid = metadata.get("name") or "", metadata.get("uid") or ""
    if not uid:
        errs.append(required("metadata.uid"))
    labels = template_labels(spec)
    expected = {"controller-uid": uid, "job-name": name, "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name}
    for key, value in expected.items():
        at = f"spec.template.metadata.labels[{key}]"
        if key not in labels:
            errs.append(required(at, f"must be '{value}'"))
        elif labels[key] != value:
            errs.append(invalid(at, labels, f"must be '{value}'"))
    if well_formed(selector) and not selects(selector, expected):
        errs.append(invalid("spec.selector", selector, "`selector` not auto-generated"))


def _spec(errs: Errors, spec: Object) -> None:
    job_spec(errs, spec, "spec")
    selector, labels = spec.get("selector"), template_labels(spec)
    if selector is None:
        errs.append(required("spec.selector"))
    label_selector(errs, selector, "spec.selector")
    if well_formed(selector) and not selects(selector, labels):
        errs.append(invalid("spec.template.metadata.labels", labels or None, "`selector` does not match template `labels`"))


def create(errs: Errors, job: Job) -> None:
    spec = job.get("spec") or {}
    _generated(errs, job)
    _spec(errs, spec)
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > 0:
        name = job["metadata"].get("name") or ""
        host = f"{name}-{spec['completions'] - 1}"
        if dns_label(host):
            errs.append(invalid("metadata.name", name, f"will not able to create pod with invalid DNS label: {host}"))


_DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates")


def _masked_template(template_: Object, new: Object, *, directives: bool, resources: bool) -> dict[str, Any]:
    """The old template, with the parts that a suspended job may change taken from the new one."""
    masked = {"metadata": dict(template_.get("metadata") or {}), "spec": dict(template_.get("spec") or {})}
    pod = new.get("spec") or {}
    if directives:
        for name in ("annotations", "labels"):
            masked["metadata"][name] = (new.get("metadata") or {}).get(name)
        for name in _DIRECTIVES:
            masked["spec"][name] = pod.get(name)
        affinity = pod.get("affinity")
        others = {name: value for name, value in (masked["spec"].get("affinity") or {}).items() if name != "nodeAffinity" and value}
        if affinity is not None:
            others["nodeAffinity"] = affinity.get("nodeAffinity")
        masked["spec"]["affinity"] = others if others or affinity is not None else None
    if resources:
        for group in ("containers", "initContainers"):
            old, now = masked["spec"].get(group) or [], pod.get(group) or []
            if old and len(old) == len(now):
                masked["spec"][group] = [
                    {**c, "resources": n.get("resources")} if c.get("name") == n.get("name") else c for c, n in zip(old, now, strict=True)
                ]
    return masked


_STRUCTS = {"podFailurePolicy": "batch.PodFailurePolicy", "successPolicy": "batch.SuccessPolicy"}


def update(errs: Errors, new: Job, old: Job) -> None:
    spec, was = new.get("spec") or {}, old.get("spec") or {}
    _spec(errs, spec)
    if spec.get("completionMode") != "Indexed":
        immutable(errs, spec.get("completions"), was.get("completions"), "spec.completions")
    elif spec.get("completions") not in (None, was.get("completions"), spec.get("parallelism")):
        errs.append(invalid("spec.completions", spec["completions"], "can only be modified in tandem with spec.parallelism"))
    immutable(errs, spec.get("selector"), was.get("selector"), "spec.selector")
    suspended = bool(was.get("suspend"))
    started = (old.get("status") or {}).get("startTime") is not None
    now = spec.get("template") or {}
    masked = _masked_template(was.get("template") or {}, now, directives=suspended and not started, resources=suspended)
    if not semantic_equal(now, masked):
        if suspended:
            errs.append(invalid("spec.template.spec", go_struct("core.PodSpec", now.get("spec")), "field is immutable"))
        else:
            errs.append(invalid("spec.template", go_struct("core.PodTemplateSpec", now), "field is immutable"))
    for name in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        immutable(errs, spec.get(name), was.get(name), f"spec.{name}", struct=_STRUCTS.get(name, ""))
