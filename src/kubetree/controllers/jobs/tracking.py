"""Reconciles a Job: pods as it asks for, each end counted exactly once, its conditions. Follows upstream's job_controller.go.

A pod carries a finalizer until its end is counted: first its UID goes into status.uncountedTerminatedPods, then the finalizer goes,
then the UID becomes a number. Whatever dies in between, no end is lost and none counts twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import controller_of, is_deleting
from kubetree.api.selectors import label_selector
from kubetree.api.times import format_time, parse_time
from kubetree.controllers import pods
from kubetree.controllers.claims import claim
from kubetree.controllers.conditions import find, without
from kubetree.controllers.jobs import indexes
from kubetree.controllers.jobs.policies import Failures, enough, finished_at, is_failed, judge, replaces_failed_only, restarts_exceed
from kubetree.controllers.owners import create_pod, delete_pod, keys_of_owned
from kubetree.controllers.plan import (
    NOTHING,
    Action,
    Batch,
    Create,
    Delete,
    Event,
    Outcome,
    Patch,
    Plan,
    RequeueAfter,
    StatusUpdate,
    plan,
)
from kubetree.controllers.pod_templates import pod_from
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot, candidates, owned

Object = dict[str, Any]

JOB, POD = kind("batch/v1", "Job"), kind("v1", "Pod")
FINALIZER = "batch.kubernetes.io/job-tracking"
MANAGER = "kubernetes.io/job-controller"
AT_ONCE = 500
ORPHAN = "orphan"

_claimants = keys_of_owned(JOB)


def keys_of_pod(pod: Object, snapshot: Snapshot) -> Iterable[Key]:
    """The Job that owns the pod; for an orphan, the Jobs that might adopt it, and itself when it still carries our finalizer."""
    claimants = _claimants(pod, snapshot)
    if controller_of(pod) is None and has_finalizer(pod):
        return [(pod["metadata"]["namespace"], pod["metadata"]["name"], ORPHAN), *claimants]
    return claimants


WATCHES = {JOB: own_key, POD: keys_of_pod}


def has_finalizer(pod: Object) -> bool:
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def is_finished(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


def _free(pod: Object) -> Patch:
    metadata = pod["metadata"]
    patch = {"metadata": {"uid": metadata["uid"], "$deleteFromPrimitiveList/finalizers": [FINALIZER]}}
    return Patch(POD, metadata["namespace"], metadata["name"], patch, ignore=frozenset({"NotFound", "Conflict"}))


@dataclass(slots=True)
class Jobs:
    """`failures`: by Job UID, how often pods failed since one succeeded."""

    failures: dict[str, Failures] = field(default_factory=dict)

    def reconcile(self, snapshot: Snapshot, key: Key, now: datetime) -> Plan:
        if key[-1] == ORPHAN and len(key) == 3:
            pod = snapshot.get(POD, key[0], key[1])
            return plan(_free(pod)) if pod is not None and has_finalizer(pod) and controller_of(pod) is None else NOTHING
        job = snapshot.get(JOB, key[0], key[1])
        if job is None:
            return plan(_free(pod) for pod in _of_gone_job(snapshot, key))
        if job["spec"].get("managedBy") not in (None, MANAGER):
            return NOTHING
        if is_finished(job):
            self.failures.pop(job["metadata"]["uid"], None)
            return plan(_free(pod) for pod in owned(snapshot, POD, job) if has_finalizer(pod))
        selector = label_selector(job["spec"].get("selector"))
        claims = claim(JOB, job, POD, selector, candidates(snapshot, POD, job), finalizers=(FINALIZER,))
        if claims.actions:
            return plan(claims.actions)
        return Look(self, job, claims.held, now).plan()


def _of_gone_job(snapshot: Snapshot, key: Key) -> list[Object]:
    """Pods that still carry the finalizer of a Job that is no more."""
    found = []
    for pod in snapshot.list(POD, key[0]):
        owner = controller_of(pod)
        if owner is not None and owner["kind"] == JOB.kind and owner["name"] == key[1] and has_finalizer(pod):
            found.append(pod)
    return found


def _condition(type_: str, reason: str, message: str, now: datetime, status: str = "True") -> Object:
    stamp = format_time(now)
    made = {"type": type_, "status": status, "lastProbeTime": stamp, "lastTransitionTime": stamp}
    return made | {"reason": reason, "message": message}


@dataclass
class Look:
    """One look at a Job and its pods. `ending` is the condition that ends it, once there is one."""

    jobs: Jobs
    job: Object
    held: Sequence[Object]
    now: datetime
    ending: Object | None = None
    again: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.spec: Object = self.job["spec"]
        self.status: Object = self.job.get("status") or {}
        self.indexed = indexes.is_indexed(self.job)
        self.completions: int | None = self.spec.get("completions")
        uncounted = self.status.get("uncountedTerminatedPods") or {}
        self.waiting_good: list[str] = list(uncounted.get("succeeded") or ())
        self.waiting_bad: list[str] = list(uncounted.get("failed") or ())
        self.active = [p for p in self.held if pods.is_active(p)]
        self.suspended = bool(self.spec.get("suspend"))
        self.started = self.status.get("startTime")
        fresh = [p for p in self.held if has_finalizer(p) and self._valid(p)]
        self.new_good = [p for p in fresh if pods.phase(p) == "Succeeded" and p["metadata"]["uid"] not in self.waiting_good]
        self.new_bad = [p for p in fresh if is_failed(p, self.job) and p["metadata"]["uid"] not in self.waiting_bad]
        counted = sum(judge(self.job, p).counts for p in self.new_bad)
        self.failed = self.status.get("failed", 0) + len(self.waiting_bad) + counted
        self.succeeded = self.status.get("succeeded", 0) + len(self.waiting_good) + len(self.new_good)
        self.good_indexes: set[int] = set()
        self.bad_indexes: set[int] | None = None
        if self.indexed:
            self._count_indexes(fresh)
        standing = self.jobs.failures.get(self.job["metadata"]["uid"], Failures())
        self.failures = standing.with_ended(self.new_good, self.new_bad)

    def _valid(self, pod: Object) -> bool:
        index = indexes.index_of(pod)
        return not self.indexed or (index is not None and index < (self.completions or 0))

    def _count_indexes(self, fresh: Sequence[Object]) -> None:
        most = self.completions or 0
        self.known_indexes = indexes.parse(self.status.get("completedIndexes"), most)
        self.good_indexes = self.known_indexes | {
            i for p in fresh if pods.phase(p) == "Succeeded" and (i := indexes.index_of(p)) is not None
        }
        self.succeeded = len(self.good_indexes)
        if self.spec.get("backoffLimitPerIndex") is not None:
            failed = {i for p in fresh if self._fails_index(p) and (i := indexes.index_of(p)) is not None}
            self.bad_indexes = indexes.parse(self.status.get("failedIndexes"), most) | failed

    def _fails_index(self, pod: Object) -> bool:
        if not is_failed(pod, self.job):
            return False
        verdict = judge(self.job, pod)
        spent = indexes.count(pod, indexes.FAILURES) >= self.spec["backoffLimitPerIndex"]
        return verdict.action == "FailIndex" or (verdict.counts and spent)

    # -- what to do

    def plan(self) -> Plan:
        if self.started is None and not self.suspended:
            self.started = format_time(self.now)
        self.ending = self._ending()
        if self.ending is not None:
            deletes = tuple(delete_pod(self.job, p) for p in self.active)
            return plan(self._batch(deletes), then=lambda outcome: self._track(outcome, removed=self.active, added=0))
        if is_deleting(self.job):
            return self._track(Outcome(), removed=(), added=0)
        return self._manage()

    def _ending(self) -> Object | None:
        """What ends the Job, if anything does: what was decided before, a failure, a deadline, enough successes."""
        conditions = self.status.get("conditions")
        met = find(conditions, "SuccessCriteriaMet")
        if met is not None and met["status"] == "True":
            return met
        target = find(conditions, "FailureTarget")
        if target is not None and target["status"] == "True":
            return _condition("Failed", target.get("reason", ""), target.get("message", ""), self.now)
        failure = self._failure()
        if failure is not None:
            return _condition("FailureTarget", *failure, self.now)
        if self.indexed and (message := enough(self.job, self.good_indexes)):
            return _condition("SuccessCriteriaMet", "SuccessPolicy", message, self.now)
        return None

    def _failure(self) -> tuple[str, str] | None:
        for pod in self.held:
            if self.spec.get("podFailurePolicy") and is_failed(pod, self.job) and (message := judge(self.job, pod).message):
                return "PodFailurePolicy", message
        if self.failed > self.spec.get("backoffLimit", 6) or restarts_exceed(self.job, self.held):
            return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        if self._past_deadline():
            return "DeadlineExceeded", "Job was active longer than specified deadline"
        if self.bad_indexes is not None:
            most = self.spec.get("maxFailedIndexes")
            if most is not None and len(self.bad_indexes) > most:
                return "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
            if self.bad_indexes and len(self.bad_indexes) + len(self.good_indexes) >= (self.completions or 0):
                return "FailedIndexes", "Job has failed indexes"
        return None

    def _past_deadline(self) -> bool:
        seconds = self.spec.get("activeDeadlineSeconds")
        if seconds is None or self.started is None or self.suspended:
            return False
        left = (parse_time(self.started) + timedelta(seconds=seconds) - self.now).total_seconds()
        if left > 0:
            self.again.append(left)
        return left <= 0

    def _manage(self) -> Plan:
        """Creates or deletes pods so that as many run as should."""
        wanted = 0 if self.suspended else self._wanted()
        surplus = self._for_removal(len(self.active) - wanted)[:AT_ONCE]
        if surplus:
            freed = [_free(p) for p in surplus if has_finalizer(p)]
            deletes = tuple(delete_pod(self.job, p) for p in surplus)
            return plan(self._batch(tuple(freed)), self._batch(deletes), then=lambda o: self._track(o, removed=surplus, added=0))
        creates = () if self.suspended else self._creates(wanted)
        made = Batch(creates, slow_start=True) if creates else None

        def done(outcome: Outcome) -> Plan:
            return self._track(outcome, removed=(), added=sum(result is not None for result in outcome.results))

        return plan(made, then=done)

    def _wanted(self) -> int:
        parallelism = int(self.spec.get("parallelism", 1))
        if self.completions is None:
            return len(self.active) if self.succeeded > 0 else parallelism
        return max(0, min(parallelism, int(self.completions - self.succeeded)))

    def _for_removal(self, number: int) -> list[Object]:
        """Pods to delete: those of an index that another has too or that is no more, then by the usual order."""
        doubled: list[Object] = []
        left = pods.in_order_of_deletion(self.active, {}, self.now)
        if self.indexed:
            seen: set[int] = set()
            kept: list[Object] = []
            for pod in reversed(left):
                index = indexes.index_of(pod)
                if index is None or index in seen or index >= (self.completions or 0):
                    doubled.append(pod)
                else:
                    seen.add(index)
                    kept.append(pod)
            left = kept[::-1]
        return doubled + left[: max(0, number - len(doubled))]

    def _creates(self, wanted: int) -> tuple[Create, ...]:
        leaving = sum(pods.is_terminating(p) for p in self.held) if replaces_failed_only(self.job) else 0
        missing = min(wanted - leaving - len(self.active), AT_ONCE)
        if missing <= 0:
            return ()
        if not self.indexed:
            wait = self.failures.wait(self.now)
            return () if self._must_wait(wait) else tuple(self._create(self.spec["template"], "") for _ in range(missing))
        if self.bad_indexes is None and self._must_wait(self.failures.wait(self.now)):
            return ()
        replaced = self._replaced()
        chosen = self._pending(missing)
        if self.bad_indexes is not None:
            chosen = [i for i in chosen if not self._must_wait(_wait_of(replaced.get(i), self.now))]
        made = []
        for index in chosen:
            template, prefix = indexes.template_for(self.spec["template"], self.job, index, self._failures_of(replaced.get(index)))
            made.append(self._create(template, prefix))
        return tuple(made)

    def _must_wait(self, seconds: float) -> bool:
        if seconds > 0:
            self.again.append(seconds)
        return seconds > 0

    def _pending(self, number: int) -> list[int]:
        """The first indexes that nobody has done, failed for good, or is at."""
        busy = {indexes.index_of(p) for p in self.active} | self.good_indexes | (self.bad_indexes or set())
        if replaces_failed_only(self.job):
            busy |= {indexes.index_of(p) for p in self.held if pods.is_terminating(p)}
        return [i for i in range(self.completions or 0) if i not in busy][:number]

    def _replaced(self) -> dict[int, Object]:
        """By index, the failed pod that still has to be replaced: its finalizer stays until it is, as it knows the failures so far."""
        if self.bad_indexes is None:
            return {}
        busy = {indexes.index_of(p) for p in self.active} | self.good_indexes | self.bad_indexes
        found: dict[int, Object] = {}
        for pod in self.held:
            index = indexes.index_of(pod)
            if not (has_finalizer(pod) and is_failed(pod, self.job)) or index is None or index in busy or not self._valid(pod):
                continue
            if index not in found or _all_failures(found[index]) <= _all_failures(pod):
                found[index] = pod
        return found

    def _failures_of(self, replaced: Object | None) -> tuple[int, int] | None:
        if self.bad_indexes is None:
            return None
        if replaced is None:
            return 0, 0
        counts = judge(self.job, replaced).counts
        return indexes.count(replaced, indexes.FAILURES) + counts, indexes.count(replaced, indexes.IGNORED_FAILURES) + (not counts)

    def _create(self, template: Object, prefix: str) -> Create:
        metadata = template.get("metadata") or {}
        finalizers = list(dict.fromkeys([*(metadata.get("finalizers") or ()), FINALIZER]))
        pod = pod_from({**template, "metadata": {**metadata, "finalizers": finalizers}}, JOB, self.job)
        if prefix:
            pod["metadata"]["generateName"] = prefix
        return create_pod(self.job, pod)

    @staticmethod
    def _batch(requests: tuple[Delete, ...] | tuple[Patch, ...]) -> Batch | None:
        return Batch(requests) if requests else None

    # -- what to tell

    def _track(self, outcome: Outcome, *, removed: Sequence[Object], added: int) -> Plan:
        """The status after the pods were seen to, and the finalizers that may go once it is written."""
        if not outcome.ok and self.ending is not None:
            return NOTHING
        gone = {p["metadata"]["uid"] for p in removed} if outcome.ok else set()
        standing = [p for p in self.active if p["metadata"]["uid"] not in gone]
        active = len(standing) + added
        terminating = sum(pods.is_terminating(p) for p in self.held) + len(gone)
        if self.ending is None and self._is_complete(active):
            self.ending = _condition("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods", self.now)
        status = self._counts(active, sum(pods.is_ready(p) for p in standing), terminating)
        freed = self._settle(status)
        events = self._conclude(status, freed, terminating)
        waits = [RequeueAfter(min(self.again))] if self.again else []
        if status == self.status:
            return plan(waits, self._batch(tuple(map(_free, freed))))
        return plan(waits, StatusUpdate(JOB, self.job, status), self._batch(tuple(map(_free, freed))), events, then=self._remember)

    def _remember(self, outcome: Outcome) -> Plan:
        """Failures are remembered once their pods stand in the status: they will not be new again."""
        if outcome.ok:
            self.jobs.failures[self.job["metadata"]["uid"]] = self.failures
        return NOTHING

    def _is_complete(self, active: int) -> bool:
        if active or self.suspended:
            return False
        return bool(self.succeeded > 0 if self.completions is None else self.succeeded >= self.completions)

    def _counts(self, active: int, ready: int, terminating: int) -> Object:
        """The status with its numbers: UIDs whose pods have lost their finalizer become numbers."""
        carrying = {p["metadata"]["uid"] for p in self.held if has_finalizer(p)}
        good = [uid for uid in self.waiting_good if uid in carrying]
        bad = [uid for uid in self.waiting_bad if uid in carrying]
        numbers = {
            "active": active,
            "succeeded": self.status.get("succeeded", 0) + len(self.waiting_good) - len(good),
            "failed": self.status.get("failed", 0) + len(self.waiting_bad) - len(bad),
        }
        status: Object = {**self.status, "ready": ready, "terminating": terminating}
        self.waiting_good, self.waiting_bad = good, bad
        for name, number in numbers.items():
            status.pop(name, None)
            if number:
                status[name] = number
        if self.started is not None:
            status["startTime"] = self.started
        return self._with_suspension(status)

    def _with_suspension(self, status: Object) -> Object:
        standing = find(status.get("conditions"), "Suspended")
        told = standing is not None and standing["status"] == "True"
        if self.ending is not None or self.suspended == told:
            return status
        said = ("JobSuspended", "Job suspended", "True") if self.suspended else ("JobResumed", "Job resumed", "False")
        conditions = without(status.get("conditions"), "Suspended")
        status["conditions"] = [*conditions, _condition("Suspended", said[0], said[1], self.now, said[2])]
        if self.suspended:
            status.pop("startTime", None)
        else:
            status["startTime"] = format_time(self.now)
        return status

    def _settle(self, status: Object) -> list[Object]:
        """Notes every new end in the status. Returns the pods whose finalizer may go after that."""
        freed: list[Object] = []
        replaced = {p["metadata"]["uid"] for p in self._replaced().values()}
        success = self.ending is not None and self.ending["type"] == "SuccessCriteriaMet"
        new_indexes: set[int] = set()
        for pod in self.held:
            uid, failed = pod["metadata"]["uid"], is_failed(pod, self.job)
            done = pods.phase(pod) == "Succeeded"
            if not has_finalizer(pod) or not (is_deleting(self.job) or self.ending or done or (failed and uid not in replaced)):
                continue
            freed.append(pod)
            if done and uid not in self.waiting_bad:
                if self.indexed and self._valid(pod):
                    new_indexes.add(indexes.index_of(pod) or 0)
                elif not self.indexed and uid not in self.waiting_good:
                    self.waiting_good.append(uid)
            elif (failed or (self.ending is not None and not success)) and uid not in self.waiting_bad and self._valid(pod):
                self.waiting_bad += [uid] if judge(self.job, pod).counts else []
            if len(new_indexes) + len(self.waiting_good) + len(self.waiting_bad) >= AT_ONCE:
                break
        waiting = {"succeeded": self.waiting_good, "failed": self.waiting_bad}
        status["uncountedTerminatedPods"] = {name: uids for name, uids in waiting.items() if uids}
        if self.indexed:
            self._tell_indexes(status, self.known_indexes | new_indexes)
        return freed

    def _tell_indexes(self, status: Object, done: set[int]) -> None:
        for name in ("succeeded", "completedIndexes"):
            status.pop(name, None)
        if done:
            status["succeeded"], status["completedIndexes"] = len(done), indexes.text_of(done)
        if self.bad_indexes is not None:
            status["failedIndexes"] = indexes.text_of(self.bad_indexes)

    def _conclude(self, status: Object, freed: Sequence[Object], terminating: int) -> list[Action]:
        """Adds what was decided, and the last word once every end is counted and no pod is left."""
        if self.ending is None:
            return []
        conditions = list(status.get("conditions") or ())
        if self.ending["type"] in ("FailureTarget", "SuccessCriteriaMet") and find(conditions, self.ending["type"]) is None:
            conditions.append(self.ending)
        status["conditions"] = conditions
        if freed or self.waiting_good or self.waiting_bad or terminating:
            return []
        final = "Complete" if self.ending["type"] == "SuccessCriteriaMet" else "Failed"
        last = _condition(final, self.ending.get("reason", ""), self.ending.get("message", ""), self.now)
        status["conditions"] = [*without(conditions, final), last]
        if final == "Failed":
            return [Event(self.job, "Warning", last["reason"], last["message"])]
        status["completionTime"] = last["lastTransitionTime"]
        many = self.completions is not None and status.get("succeeded", 0) > self.completions
        why = "Too many succeeded pods running after completion count reached"
        told: list[Action] = [Event(self.job, "Warning", "TooManySucceededPods", why)] if many else []
        return [*told, Event(self.job, "Normal", "Completed", "Job completed")]


def _all_failures(pod: Object) -> int:
    return indexes.count(pod, indexes.FAILURES) + indexes.count(pod, indexes.IGNORED_FAILURES)


def _wait_of(replaced: Object | None, now: datetime) -> float:
    if replaced is None:
        return 0.0
    return Failures(_all_failures(replaced) + 1, finished_at(replaced)).wait(now)


def duty() -> Duty:
    return Duty("job-controller", "job-controller", WATCHES, Jobs().reconcile, workers=5, account="job-controller")
