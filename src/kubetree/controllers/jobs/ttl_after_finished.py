"""Deletes finished Jobs when their ttlSecondsAfterFinished is over, and their pods with them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from kubetree.api.objects import is_deleting
from kubetree.api.times import parse_time
from kubetree.controllers.jobs.tracking import JOB, is_finished
from kubetree.controllers.plan import NOTHING, Delete, Outcome, Plan, Read, RequeueAfter, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

WATCHES = {JOB: own_key}


def due(job: Object) -> datetime | None:
    """When the Job may go; None when it has not finished, or may stay."""
    seconds = job["spec"].get("ttlSecondsAfterFinished")
    if seconds is None or is_deleting(job) or not is_finished(job):
        return None
    ends = [c for c in job["status"]["conditions"] if c["type"] in ("Complete", "Failed") and c["status"] == "True"]
    return parse_time(ends[0]["lastTransitionTime"]) + timedelta(seconds=seconds)


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    job = snapshot.get(JOB, *key)
    when = due(job) if job is not None else None
    if when is None:
        return NOTHING
    left = (when - now).total_seconds()
    if left > 0:
        return plan(RequeueAfter(left))

    def asked(outcome: Outcome) -> Plan:
        """The server has the last word: somebody may have changed the time."""
        fresh = outcome.results[0] if outcome.results else None
        last = due(fresh) if fresh is not None else None
        if fresh is None or last is None or last > now:
            return NOTHING
        metadata = fresh["metadata"]
        delete = Delete(JOB, key[0], key[1], uid=metadata["uid"], resource_version=metadata["resourceVersion"], propagation="Foreground")
        return plan(delete)

    return plan(Read(JOB, key[0], key[1]), then=asked)


DUTY = Duty(
    "ttl-after-finished-controller", "ttl-after-finished-controller", WATCHES, reconcile, workers=5, account="ttl-after-finished-controller"
)
