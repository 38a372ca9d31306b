"""What a failed pod means for its Job (podFailurePolicy), which successes are enough (successPolicy), how long to wait after failures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kubetree.api.objects import is_deleting
from kubetree.api.times import parse_time
from kubetree.controllers import pods
from kubetree.controllers.jobs.indexes import parse

Object = dict[str, Any]

FIRST_BACK_OFF, LAST_BACK_OFF = 10.0, 600.0


# -- failures


def replaces_failed_only(job: Object) -> bool:
    """Whether a pod on its way out counts as failed only when it has ended."""
    spec = job["spec"]
    return spec.get("podReplacementPolicy") == "Failed" or spec.get("podFailurePolicy") is not None


def is_failed(pod: Object, job: Object) -> bool:
    phase = pods.phase(pod)
    if phase == "Failed":
        return True
    return not replaces_failed_only(job) and is_deleting(pod) and phase != "Succeeded"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says of a failed pod: `action` of the rule that fits ("" none), `counts` against the limit, why the Job fails."""

    action: str = ""
    counts: bool = True
    message: str = ""


def judge(job: Object, pod: Object) -> Verdict:
    for number, rule in enumerate((job["spec"].get("podFailurePolicy") or {}).get("rules") or ()):
        action = rule["action"]
        what = _matching(rule, pod, action, number)
        if what:
            return Verdict(action, action != "Ignore", what if action == "FailJob" else "")
    return Verdict()


def _matching(rule: Object, pod: Object, action: str, number: int) -> str:
    """What in the pod the rule fits, as the Job's message; "" when it does not."""
    where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    if (codes := rule.get("onExitCodes")) is not None:
        container = _with_exit_code(pod, codes)
        if container is None:
            return ""
        code = container["state"]["terminated"]["exitCode"]
        return f"Container {container['name']} for pod {where} failed with exit code {code} matching {action} rule at index {number}"
    for condition in (pod.get("status") or {}).get("conditions") or ():
        for pattern in rule.get("onPodConditions") or ():
            if condition["type"] == pattern["type"] and condition["status"] == pattern.get("status", "True"):
                return f"Pod {where} has condition {condition['type']} matching {action} rule at index {number}"
    return ""


def _with_exit_code(pod: Object, codes: Object) -> Object | None:
    status = pod.get("status") or {}
    for container in [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]:
        ended = (container.get("state") or {}).get("terminated")
        if ended is None or codes.get("containerName") not in (None, container["name"]) or not ended["exitCode"]:
            continue
        if (ended["exitCode"] in codes["values"]) == (codes["operator"] == "In"):
            found: Object = container
            return found
    return None


def restarts_exceed(job: Object, listed: Iterable[Object]) -> bool:
    """With restartPolicy OnFailure restarts in place count against the backoffLimit."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = 0
    for pod in listed:
        if pods.phase(pod) in ("Running", "Pending"):
            status = pod.get("status") or {}
            both = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
            restarts += sum(container.get("restartCount", 0) for container in both)
    limit = job["spec"].get("backoffLimit", 6)
    return restarts > 0 if limit == 0 else restarts >= limit


# -- successes


def enough(job: Object, succeeded: set[int]) -> str:
    """The message of the success policy's rule that is met; "" when none is."""
    if not succeeded:
        return ""
    for number, rule in enumerate((job["spec"].get("successPolicy") or {}).get("rules") or ()):
        least = rule.get("succeededCount")
        if (text := rule.get("succeededIndexes")) is not None:
            required = parse(text, job["spec"]["completions"])
            met = len(required & succeeded)
            if required and (met == len(required) or (least is not None and met >= least)):
                return f"Matched rules at index {number}"
        elif least is not None and len(succeeded) >= least:
            return f"Matched rules at index {number}"
    return ""


# -- back-off


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures since the last success, and when the last was."""

    number: int = 0
    last: datetime | None = None

    def with_ended(self, succeeded: Sequence[Object], failed: Sequence[Object]) -> Failures:
        ended = sorted(map(finished_at, failed))
        if not succeeded:
            return Failures(self.number + len(ended), ended[-1]) if ended else self
        last_success = max(map(finished_at, succeeded))
        since = [time for time in ended if time > last_success]
        return Failures(len(since), since[-1] if since else None)

    def wait(self, now: datetime) -> float:
        """Seconds until another pod may be tried: 10 s, doubled with each failure up to 10 minutes, from the last one."""
        if not self.number or self.last is None:
            return 0.0
        delay = min(FIRST_BACK_OFF * 2 ** min(self.number - 1, 20), LAST_BACK_OFF)
        return max(0.0, (self.last + timedelta(seconds=delay) - now).total_seconds())


def finished_at(pod: Object) -> datetime:
    """When a pod ended: its last container, or when it was no longer ready, or when it was told to go."""
    status, metadata = pod.get("status") or {}, pod["metadata"]
    ends = [((c.get("state") or {}).get("terminated") or {}).get("finishedAt") for c in status.get("containerStatuses") or ()]
    if ends and all(ends):
        return max(parse_time(end) for end in ends if end)
    ready = pods.condition(pod, "Ready")
    if ready is not None and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return parse_time(ready["lastTransitionTime"])
    if stamp := metadata.get("deletionTimestamp"):
        return parse_time(stamp) - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)
    return parse_time(metadata["creationTimestamp"])
