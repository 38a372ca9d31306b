"""A job's status, whose conditions and counters only go one way."""

from __future__ import annotations

from typing import Any

from kubetree.api.validation.errors import Errors, Object, duplicate, invalid, required
from kubetree.api.validation.jobs import index_intervals, omitted
from kubetree.api.validation.metadata import nonnegative_fields

_EXCLUSIVE = (
    ("Complete", "Failed", "cannot set Complete=True and Failed=true conditions"),
    ("Complete", "FailureTarget", "cannot set Complete=True and FailureTarget=true conditions"),
    ("SuccessCriteriaMet", "Failed", "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
    ("SuccessCriteriaMet", "FailureTarget", "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
)


def _true(status: Object) -> set[str]:
    return {c.get("type") or "" for c in status.get("conditions") or () if c.get("status") == "True"}


def _finished(errs: Errors, status: Object, conditions: set[str]) -> None:
    if status.get("active"):
        errs.append(invalid("status.active", status["active"], "active>0 is invalid for finished job"))
    if status.get("startTime") is None:
        errs.append(required("status.startTime", "startTime is required for finished job"))
    uncounted = status.get("uncountedTerminatedPods") or {}
    if uncounted.get("failed") or uncounted.get("succeeded"):
        errs.append(invalid("status.uncountedTerminatedPods", uncounted, "must be empty for finished job"))
    if status.get("terminating"):
        errs.append(invalid("status.terminating", status["terminating"], "terminating>0 is invalid for finished job"))


def _indexes(errs: Errors, status: Object, was: Object, spec: Object) -> None:
    completed, failed = status.get("completedIndexes") or "", status.get("failedIndexes")
    completions = spec.get("completions")
    parsed: dict[str, list[tuple[int, int]]] = {}
    for name, text in (("completedIndexes", completed), ("failedIndexes", failed or "")):
        if completions is None or text == (was.get(name) or ""):
            continue
        try:
            parsed[name] = index_intervals(text, completions)
        except ValueError as error:
            if name == "completedIndexes" or spec.get("backoffLimitPerIndex") is not None:  # else they must not be there at all
                errs.append(invalid(f"status.{name}", text, f"error parsing {name}: {error}"))
    if completed and spec.get("completionMode") != "Indexed":
        detail = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errs.append(invalid("status.completedIndexes", completed, detail))
    if failed is not None and spec.get("backoffLimitPerIndex") is None:
        errs.append(invalid("status.failedIndexes", failed, "cannot set non-null failedIndexes when backoffLimitPerIndex is null"))
    for first, last in parsed.get("failedIndexes", ()):
        for start, end in parsed.get("completedIndexes", ()):
            if start <= last and first <= end:
                detail = f"failedIndexes and completedIndexes overlap at index: {max(start, first)}"
                errs.append(invalid("status.failedIndexes", failed, detail))
                return


def update(errs: Errors, new: dict[str, Any], old: dict[str, Any]) -> None:
    status, was, spec = new.get("status") or {}, old.get("status") or {}, new.get("spec") or {}
    nonnegative_fields(errs, status, "status", "active", "succeeded", "failed", "ready", "terminating")
    uncounted = status.get("uncountedTerminatedPods") or {}
    seen: set[str] = set()
    for name in ("succeeded", "failed"):
        for i, uid in enumerate(uncounted.get(name) or ()):
            at = f"status.uncountedTerminatedPods.{name}[{i}]"
            if not uid:
                errs.append(invalid(at, uid, "must not be empty"))
            elif uid in seen:
                errs.append(duplicate(at, uid))
            seen.add(uid)
    conditions, before = _true(status), _true(was)
    for one, other, detail in _EXCLUSIVE:
        if one in conditions and other in conditions:
            errs.append(omitted("status.conditions", detail))
    completed_at = status.get("completionTime")
    if completed_at is not None and "Complete" not in conditions:
        errs.append(invalid("status.completionTime", completed_at, "cannot set completionTime when there is no Complete=True condition"))
    if completed_at is None and "Complete" in conditions:
        errs.append(required("status.completionTime", "completionTime is required for Complete jobs"))
    if completed_at and status.get("startTime") and completed_at < status["startTime"]:
        errs.append(invalid("status.completionTime", completed_at, "must be equal to or after `startTime`"))
    if "Failed" in conditions - before and "FailureTarget" not in conditions:
        errs.append(omitted("status.conditions", "cannot set Failed=True condition without the FailureTarget=true condition"))
    if "Complete" in conditions - before and "SuccessCriteriaMet" not in conditions:
        errs.append(omitted("status.conditions", "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"))
    if conditions & {"Complete", "Failed"}:
        _finished(errs, status, conditions)
    _indexes(errs, status, was, spec)
    if (status.get("ready") or 0) > (status.get("active") or 0):
        errs.append(invalid("status.ready", status.get("ready") or 0, "cannot set more ready pods than active"))
    for kind in ("Failed", "Complete", "FailureTarget"):
        if kind in before - conditions:
            errs.append(omitted("status.conditions", f"cannot disable the terminal {kind}=True condition"))
    for name in ("failed", "succeeded"):
        if (status.get(name) or 0) < (was.get(name) or 0):
            errs.append(invalid(f"status.{name}", status.get(name) or 0, f"cannot decrease the {name} counter"))
    if completed_at and was.get("completionTime") and completed_at != was["completionTime"]:
        errs.append(invalid("status.completionTime", completed_at, "field is immutable"))
    if was.get("startTime") and was["startTime"] != status.get("startTime") and not spec.get("suspend"):
        errs.append(invalid("status.startTime", status.get("startTime"), "field is immutable for unsuspended job once set"))
    if "SuccessCriteriaMet" in before - conditions:
        errs.append(omitted("status.conditions", "cannot disable the SuccessCriteriaMet=True condition"))
