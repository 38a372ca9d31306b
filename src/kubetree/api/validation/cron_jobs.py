"""Cron jobs: schedules in robfig/cron's standard form, and time zones."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import Any

from kubetree.api.times import parse_duration
from kubetree.api.validation.errors import Errors, Object, invalid, not_supported, required
from kubetree.api.validation.jobs import job_spec
from kubetree.api.validation.metadata import nonnegative_fields

CronJob = dict[str, Any]
_BOUNDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 6))
_MONTHS = {m: i + 1 for i, m in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])}
_DAYS = {d: i for i, d in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_DESCRIPTORS = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_ZONE_PART = re.compile(r"[A-Za-z\.\-_0-9+]{1,14}").fullmatch


@cache
def _zones() -> frozenset[str]:
    """Names of time zones: read from disk (25 ms) when the first one is asked for."""
    return frozenset(import_module("zoneinfo").available_timezones())


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    digits = text.removeprefix("-").removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text) < 0:
        raise ValueError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)


def _range(expression: str, low: int, high: int, names: dict[str, int]) -> None:
    parts = expression.split("/")
    ends = parts[0].split("-")
    single = len(ends) == 1
    if ends[0] in ("*", "?"):
        start, end = low, high
    else:
        start = _number(ends[0], names)
        if len(ends) == 1:
            end = start
        elif len(ends) == 2:
            end = _number(ends[1], names)
        else:
            raise ValueError(f"too many hyphens: {expression}")
    step = 1
    if len(parts) == 2:
        step = _number(parts[1], {})
        if single:
            end = high
    elif len(parts) > 2:
        raise ValueError(f"too many slashes: {expression}")
    if start < low:
        raise ValueError(f"beginning of range ({start}) below minimum ({low}): {expression}")
    if end > high:
        raise ValueError(f"end of range ({end}) above maximum ({high}): {expression}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {expression}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {expression}")


def parse_schedule(schedule: str) -> None:
    """Raises ValueError, worded as robfig/cron v3's ParseStandard, unless the schedule is well formed."""
    text = schedule
    if text.startswith(("TZ=", "CRON_TZ=")):
        zone, _, text = text.partition(" ")
        name = zone.partition("=")[2]
        if name not in _zones() and name not in ("UTC", "Local", ""):
            raise ValueError(f"provided bad location {name}: unknown time zone {name}")
        text = text.strip()
    if not text:
        raise ValueError("empty spec string")
    if text.startswith("@"):
        if text in _DESCRIPTORS:
            return
        if text.startswith("@every "):
            try:
                parse_duration(text.removeprefix("@every "))
            except ValueError as error:
                raise ValueError(f"failed to parse duration {text}: {error}") from None
            return
        raise ValueError(f"unrecognized descriptor: {text}")
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    for field, (name, low, high) in zip(fields, _BOUNDS, strict=True):
        names = _MONTHS if name == "month" else _DAYS if name == "day of week" else {}
        for expression in field.split(","):
            if expression:
                _range(expression, low, high, names)


def _time_zone(errs: Errors, zone: str) -> None:
    path = "spec.timeZone"
    if not zone:
        errs.append(invalid(path, zone, "timeZone must be nil or non-empty string"))
        return
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not _ZONE_PART(part):
            errs.append(invalid(path, zone, f"unknown time zone {zone}"))
            return
    if zone.lower() == "local":
        detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errs.append(invalid(path, zone, detail))
    elif zone not in _zones() and zone.upper() != "UTC":
        errs.append(invalid(path, zone, f"unknown time zone {zone}"))


def _spec(errs: Errors, spec: Object, old: Object | None) -> None:
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        errs.append(required("spec.schedule"))
    else:
        try:
            parse_schedule(schedule)
        except ValueError as error:
            errs.append(invalid("spec.schedule", schedule, str(error)))
        if "TZ" in schedule:
            if old is None or "TZ" not in (old.get("schedule") or ""):
                detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
                errs.append(invalid("spec.schedule", schedule, detail))
            elif zone is not None:
                errs.append(invalid("spec.schedule", schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule"))
    if zone is not None and (old is None or old.get("timeZone") != zone):
        _time_zone(errs, zone)
    policy, policies = spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace")
    if not policy:
        errs.append(required("spec.concurrencyPolicy"))
    elif policy not in policies:
        errs.append(not_supported("spec.concurrencyPolicy", policy, policies))
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    job_spec(errs, job, "spec.jobTemplate.spec")
    if job.get("selector") is not None:
        errs.append(invalid("spec.jobTemplate.spec.selector", job["selector"], "`selector` will be auto-generated"))
    if job.get("manualSelector"):
        errs.append(not_supported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false")))
    nonnegative_fields(errs, spec, "spec", "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")


def create(errs: Errors, obj: CronJob) -> None:
    _spec(errs, obj.get("spec") or {}, None)
    name = obj["metadata"].get("name") or ""
    if len(name) > 52:
        errs.append(invalid("metadata.name", name, "must be no more than 52 characters"))


def update(errs: Errors, new: CronJob, old: CronJob) -> None:
    _spec(errs, new.get("spec") or {}, old.get("spec") or {})
