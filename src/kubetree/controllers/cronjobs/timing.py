"""Reconciles a CronJob: starts its Jobs when their time has come, notes what became of them, cleans up. After cronjob_controllerv2.go."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kubetree.api.kind_table import kind
from kubetree.api.objects import controller_of, is_controlled_by, is_deleting, owner_reference
from kubetree.api.times import format_time, parse_time
from kubetree.controllers.cronjobs.schedules import Schedule, schedule
from kubetree.controllers.plan import (
    NAMESPACE_TERMINATING,
    NOTHING,
    Action,
    Create,
    Delete,
    Event,
    Outcome,
    Plan,
    Read,
    RequeueAfter,
    StatusUpdate,
    plan,
)
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot, owned

Object = dict[str, Any]

CRON_JOB, JOB = kind("batch/v1", "CronJob"), kind("batch/v1", "Job")
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MANY = 100
_OWN_ZONE = (
    "CRON_TZ or TZ used in schedule {} is not officially supported, "
    "see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
)
LATER = 0.1
"""Seconds after its moment that a schedule is looked at, so that the moment is surely past."""


def keys_of_job(job: Object, _: Snapshot) -> Iterable[Key]:
    owner = controller_of(job)
    return ((job["metadata"]["namespace"], owner["name"]),) if owner is not None and owner["kind"] == CRON_JOB.kind else ()


WATCHES = {CRON_JOB: own_key, JOB: keys_of_job}


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    cron_job = snapshot.get(CRON_JOB, *key)
    if cron_job is None:
        return NOTHING
    return Look(cron_job, owned(snapshot, JOB, cron_job), now).plan()


def ending_of(job: Object) -> str:
    """Complete, Failed, or "" while the Job runs."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return str(condition["type"])
    return ""


@dataclass(frozen=True, slots=True)
class Missed:
    """Where the schedule stands: the latest moment that has come and was not yet acted on, and whether too many went by."""

    since: datetime
    latest: datetime | None
    some: bool = False
    many: bool = False


def missed(times: Schedule, since: datetime, now: datetime) -> Missed:
    """The latest moment between `since` and `now`. Where many went by, they are reckoned, not counted one by one.

    Raises ValueError for a schedule that never comes, such as 31 February.
    """
    first = times.next(since)
    if first is None:
        raise ValueError("time difference between two schedules is less than 1 second")
    if now < first:
        return Missed(since, None)
    second = times.next(first)
    if second is None or now < second:
        return Missed(since, first)
    apart = max(1, round((second - first).total_seconds()))
    number = int((now - first).total_seconds()) // apart + 1
    latest: datetime | None = None
    time = times.next(first + timedelta(seconds=(number - 2) * apart))
    while time is not None and time <= now:
        latest, time = time, times.next(time)
    return Missed(since, latest, some=True, many=number > MANY)


@dataclass
class Look:
    """One look at a CronJob and the Jobs that it owns."""

    cron_job: Object
    jobs: Sequence[Object]
    now: datetime

    def __post_init__(self) -> None:
        self.spec: Object = self.cron_job["spec"]
        self.status: Object = dict(self.cron_job.get("status") or {})
        self.active: list[Object] = list(self.status.get("active") or ())
        self.events: list[Action] = []

    def plan(self) -> Plan:
        self._note_endings()
        old = self._surplus()
        times = self._times()
        if times is None:
            return plan(self.events, old, self._written())
        try:
            moment = self._due(times)
        except ValueError as error:
            self._tell("Warning", "InvalidSchedule", f"invalid schedule: {self.spec['schedule']} : {error}")
            return plan(self.events, old, self._written())
        again = RequeueAfter(self._next(times))
        if moment is None:
            return plan(self.events, old, self._written(), again)
        return plan(self.events, old, again) + self._start(moment)

    def _times(self) -> Schedule | None:
        """None when nothing is to be started, of which a malformed schedule is told."""
        text, zone = self.spec["schedule"], self.spec.get("timeZone")
        if is_deleting(self.cron_job):
            return None
        try:
            ZoneInfo(zone or "UTC")
        except (ZoneInfoNotFoundError, ValueError) as error:
            self._tell("Warning", "UnknownTimeZone", f'invalid timeZone: "{zone}": {error}')
            return None
        if self.spec.get("suspend"):
            return None
        if "TZ" in text:
            self._tell("Warning", "UnsupportedSchedule", _OWN_ZONE.format(json.dumps(text)))
        try:
            return schedule(text, zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            self._tell("Warning", "UnparseableSchedule", f'unparseable schedule: "{text}" : {error}')
            return None

    def _tell(self, type_: str, reason: str, message: str) -> None:
        self.events.append(Event(self.cron_job, type_, reason, message))

    # -- what became of Jobs

    def _note_endings(self) -> None:
        """Takes finished and missing Jobs out of the active ones, and notes the last success."""
        listed = {reference["uid"] for reference in self.active}
        for job in self.jobs:
            metadata, ending = job["metadata"], ending_of(job)
            if metadata["uid"] in listed and ending:
                self.active = [r for r in self.active if r["uid"] != metadata["uid"]]
                self._tell("Normal", "SawCompletedJob", f"Saw completed job: {metadata['name']}, condition: {ending}")
            elif metadata["uid"] not in listed and not ending:
                self._tell("Warning", "UnexpectedJob", f"Saw a job that the controller did not create or forgot: {metadata['name']}")
            done = (job.get("status") or {}).get("completionTime")
            if ending == "Complete" and done and done > self.status.get("lastSuccessfulTime", ""):
                self.status["lastSuccessfulTime"] = done
        standing = {job["metadata"]["uid"] for job in self.jobs}
        for reference in [r for r in self.active if r["uid"] not in standing]:
            self._tell("Normal", "MissingJob", f"Active job went missing: {reference['name']}")
            self.active.remove(reference)

    def _surplus(self) -> list[Action]:
        """The oldest finished Jobs beyond the limits."""
        actions: list[Action] = []
        for ending, limit in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
            ended = sorted((j for j in self.jobs if ending_of(j) == ending and not is_deleting(j)), key=_by_start)
            keep = self.spec.get(limit)
            if keep is not None:
                actions += [self._delete(job) for job in ended[: max(0, len(ended) - keep)]]
        return actions

    def _delete(self, job: Object) -> Delete:
        metadata = job["metadata"]
        done = Event(self.cron_job, "Normal", "SuccessfulDelete", f"Deleted job {metadata['name']}")
        failed = Event(self.cron_job, "Warning", "FailedDelete", "Deleted job: {error}")
        return Delete(JOB, metadata["namespace"], metadata["name"], uid=metadata["uid"], propagation="Background", done=done, failed=failed)

    def _written(self) -> Action | None:
        status = {k: v for k, v in self.status.items() if k != "active"}
        if self.active:
            status["active"] = self.active
        return StatusUpdate(CRON_JOB, self.cron_job, status) if status != (self.cron_job.get("status") or {}) else None

    # -- when

    def _since(self) -> datetime:
        return parse_time(self.status.get("lastScheduleTime") or self.cron_job["metadata"]["creationTimestamp"])

    def _next(self, times: Schedule) -> float:
        """Seconds until the schedule must be looked at again."""
        stand = missed(times, self._since(), self.now)
        last = stand.latest or (self.now if stand.some else stand.since)
        following = times.next(last)
        while following is not None and following <= self.now:
            following = times.next(max(following, self.now))
        return 86400.0 if following is None else (following - self.now).total_seconds() + LATER

    def _due(self, times: Schedule) -> datetime | None:
        """The moment whose Job is to be started now; None when there is none. Raises ValueError as `missed` does."""
        deadline = self.spec.get("startingDeadlineSeconds")
        since = self._since()
        if deadline is not None:
            since = max(since, self.now - timedelta(seconds=deadline))
        stand = missed(times, since, self.now)
        moment = stand.latest
        if moment is None:
            return None
        if stand.many:
            why = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self._tell("Warning", "TooManyMissedTimes", why)
        if deadline is not None and moment + timedelta(seconds=deadline) < self.now:
            self._tell("Warning", "MissSchedule", f"Missed scheduled time to start a job: {moment.strftime('%a, %d %b %Y %H:%M:%S +0000')}")
            return None
        if any(r["name"] == self._name(moment) for r in self.active) or self.status.get("lastScheduleTime") == format_time(moment):
            return None
        if self.spec.get("concurrencyPolicy") == "Forbid" and self.active:
            why = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._tell("Normal", "JobAlreadyActive", why)
            return None
        return moment

    def _name(self, moment: datetime) -> str:
        return f"{self.cron_job['metadata']['name']}-{int(moment.timestamp()) // 60}"

    # -- starting a Job

    def _start(self, moment: datetime) -> Plan:
        replaced: list[Action] = []
        if self.spec.get("concurrencyPolicy") == "Replace":
            going = {reference["uid"] for reference in self.active}
            replaced = [self._delete(job) for job in self.jobs if job["metadata"]["uid"] in going]
            self.active = []
        create = Create(
            JOB,
            self._job(moment),
            done=Event(self.cron_job, "Normal", "SuccessfulCreate", "Created job {name}"),
            failed=Event(self.cron_job, "Warning", "FailedCreate", "Error creating job: {error}"),
            ignore=NAMESPACE_TERMINATING | {"AlreadyExists"},
        )
        return plan(replaced, create, then=lambda outcome: self._started(moment, outcome))

    def _started(self, moment: datetime, outcome: Outcome) -> Plan:
        if not outcome.ok:
            return plan(self._written())
        if (made := outcome.results[-1]) is not None:
            return self._note(moment, made)
        namespace = self.cron_job["metadata"]["namespace"]

        def look(read: Outcome) -> Plan:
            """A Job of that name is there already: ours from before a crash, or somebody else's."""
            standing = read.results[0] if read.results else None
            if standing is not None and is_controlled_by(standing, self.cron_job):
                return self._note(moment, standing)
            return plan(self._written())

        return plan(Read(JOB, namespace, self._name(moment)), then=look)

    def _note(self, moment: datetime, job: Object) -> Plan:
        metadata = job["metadata"]
        reference = {"apiVersion": JOB.api_version, "kind": JOB.kind}
        reference |= {name: metadata[name] for name in ("namespace", "name", "uid", "resourceVersion") if name in metadata}
        self.active = [*(r for r in self.active if r["uid"] != metadata["uid"]), reference]
        self.status["lastScheduleTime"] = format_time(moment)
        return plan(self._written())

    def _job(self, moment: datetime) -> Object:
        template = self.spec["jobTemplate"]
        metadata = template.get("metadata") or {}
        zone = self.spec.get("timeZone")
        stamp = moment.astimezone(ZoneInfo(zone)).isoformat() if zone else format_time(moment)
        made: Object = {
            "name": self._name(moment),
            "namespace": self.cron_job["metadata"]["namespace"],
            "annotations": {**(metadata.get("annotations") or {}), SCHEDULED: stamp},
            "ownerReferences": [owner_reference(CRON_JOB, self.cron_job, controller=True, block=True)],
        }
        if metadata.get("labels"):
            made["labels"] = metadata["labels"]
        return {"apiVersion": JOB.api_version, "kind": JOB.kind, "metadata": made, "spec": template["spec"]}


def _by_start(job: Object) -> tuple[str, str]:
    return (job.get("status") or {}).get("startTime") or "~", job["metadata"]["name"]


DUTY = Duty("cronjob-controller", "cronjob-controller", WATCHES, reconcile, workers=5, account="cronjob-controller")
