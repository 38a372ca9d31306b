from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.api.times import format_time
from kubetree.controllers.jobs import indexes, ttl_after_finished
from kubetree.controllers.jobs.tracking import FINALIZER, Jobs, has_finalizer
from kubetree.controllers.plan import Action, Create, Update
from world import World

JOB, POD = kind("batch/v1", "Job"), kind("v1", "Pod")


def job(**spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"job": "j"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    made = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "selector": {"matchLabels": {"job": "j"}}, "template": template, **spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {k: v for k, v in made.items() if v is not None},
        "status": {},
    }


class Shop(World):
    """Jobs at work: a test says which pods end and how."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        super().__init__(*objects)
        self.jobs = Jobs()

    def step(self) -> Shop:
        for _ in range(20):
            self.objects = [o for o in self.objects if not self._over(o)]
            before = self._count
            for obj in self.list(JOB):
                self.follow(self.jobs.reconcile(self.snapshot, ("default", obj["metadata"]["name"]), self.now))
            if before == self._count and not any(self._over(o) for o in self.objects):
                return self
        raise AssertionError("does not settle")

    @staticmethod
    def _over(obj: dict[str, Any]) -> bool:
        return obj["kind"] == "Pod" and "deletionTimestamp" in obj["metadata"] and not has_finalizer(obj)

    @property
    def running(self) -> list[dict[str, Any]]:
        alive = [p for p in self.list(POD) if (p.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
        return [p for p in alive if "deletionTimestamp" not in p["metadata"]]

    def end(self, code: int = 0, *, number: int = 1, index: int | None = None, **condition: str) -> Shop:
        chosen = [p for p in self.running if index is None or indexes.index_of(p) == index][:number]
        assert len(chosen) == number
        for pod in chosen:
            ended = {"exitCode": code, "finishedAt": format_time(self.now)}
            status: dict[str, Any] = {
                "phase": "Failed" if code else "Succeeded",
                "containerStatuses": [{"name": "c", "state": {"terminated": ended}}],
            }
            if condition:
                status["conditions"] = [condition]
            pod["status"] = status
        return self.step()

    @property
    def j(self) -> dict[str, Any]:
        return self.get(JOB, "j")

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.j["status"])

    def told(self) -> dict[str, str]:
        return {c["type"]: c["reason"] for c in self.status.get("conditions") or () if c["status"] == "True"}


def test_a_job_runs_to_its_end_and_every_end_is_counted_once() -> None:
    shop = Shop(job(completions=3, parallelism=2)).step()
    assert (len(shop.running), shop.status["active"], shop.status["ready"]) == (2, 2, 0)
    assert shop.status["startTime"] == format_time(shop.now)
    shop.end(number=2)
    assert (len(shop.running), shop.status["succeeded"]) == (1, 2)
    shop.end()
    assert shop.told() == {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"}
    assert shop.status["succeeded"] == 3
    assert "active" not in shop.status
    assert shop.status["uncountedTerminatedPods"] == {}
    assert shop.status["completionTime"] == format_time(shop.now)
    assert not any(has_finalizer(p) for p in shop.list(POD))
    assert shop.events[-1] == "Completed: Job completed"


def test_no_end_is_lost_when_the_status_cannot_be_written() -> None:
    shop = Shop(job()).step()

    def refuse(action: Action) -> errors.ApiError | None:
        return errors.Conflict("no") if isinstance(action, Update) else None

    shop.fails = refuse
    shop.running[0]["status"] = {"phase": "Succeeded"}
    shop.follow(shop.jobs.reconcile(shop.snapshot, ("default", "j"), shop.now))
    assert has_finalizer(shop.list(POD)[0])
    shop.fails = lambda _: None
    shop.step()
    assert shop.status["succeeded"] == 1


def test_failures_are_tried_again_with_a_back_off_up_to_the_limit() -> None:
    shop = Shop(job(backoffLimit=2)).step()
    for wait in (10, 20):
        shop.end(1)
        assert shop.running == []
        assert shop.requeues[-1] == wait
        shop.pass_time(wait)
        shop.step()
        assert len(shop.running) == 1
    shop.end(1)
    assert shop.told() == {"FailureTarget": "BackoffLimitExceeded", "Failed": "BackoffLimitExceeded"}
    assert shop.status["failed"] == 3
    assert shop.events[-1] == "BackoffLimitExceeded: Job has reached the specified backoff limit"


def test_a_failing_job_ends_only_when_its_pods_have() -> None:
    shop = Shop(job(parallelism=2, completions=2, activeDeadlineSeconds=30)).step()
    assert shop.requeues[-1] == 30
    shop.pass_time(30)
    shop.follow(shop.jobs.reconcile(shop.snapshot, ("default", "j"), shop.now))
    assert shop.told() == {"FailureTarget": "DeadlineExceeded"}
    assert shop.status["terminating"] == 2
    shop.step()
    assert shop.told()["Failed"] == "DeadlineExceeded"
    assert shop.list(POD) == []
    assert shop.status["failed"] == 2


def test_suspended_jobs_have_no_pods_and_begin_anew() -> None:
    shop = Shop(job(suspend=True)).step()
    assert (shop.running, shop.told()) == ([], {"Suspended": "JobSuspended"})
    assert "startTime" not in shop.status
    shop.pass_time(100)
    shop.j["spec"]["suspend"] = False
    shop.step()
    assert len(shop.running) == 1
    assert shop.status["startTime"] == format_time(shop.now)
    shop.j["spec"]["suspend"] = True
    shop.step()
    assert shop.list(POD) == []
    assert "failed" not in shop.status


def test_parallelism_may_shrink() -> None:
    shop = Shop(job(parallelism=3, completions=5)).step()
    shop.j["spec"]["parallelism"] = 1
    shop.step()
    assert len(shop.running) == 1
    assert "failed" not in shop.status


def test_without_completions_one_success_ends_the_starting_of_pods() -> None:
    shop = Shop(job(parallelism=3, completions=None)).step()
    shop.end()
    assert len(shop.running) == 2
    shop.end(number=2)
    assert shop.told()["Complete"] == "CompletionsReached"


def test_indexes() -> None:
    shop = Shop(job(completionMode="Indexed", completions=4, parallelism=3)).step()
    assert sorted(indexes.index_of(p) or 0 for p in shop.running) == [0, 1, 2]
    first = next(p for p in shop.running if indexes.index_of(p) == 1)
    assert first["metadata"]["name"].startswith("j-1-")
    assert first["spec"]["hostname"] == "j-1"
    assert first["metadata"]["labels"][indexes.INDEX] == "1"
    assert first["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    shop.end(index=1)
    assert shop.status["completedIndexes"] == "1"
    shop.end(index=0).end(index=3).end(index=2)
    assert shop.status["completedIndexes"] == "0-3"
    assert shop.told()["Complete"] == "CompletionsReached"


def test_a_limit_for_each_index() -> None:
    shop = Shop(job(completionMode="Indexed", completions=2, parallelism=2, backoffLimitPerIndex=1, backoffLimit=2**31 - 1)).step()
    shop.end(1, index=0)
    assert [indexes.index_of(p) for p in shop.running] == [1]
    shop.pass_time(10)
    shop.step()
    again = next(p for p in shop.running if indexes.index_of(p) == 0)
    assert indexes.count(again, indexes.FAILURES) == 1
    shop.end(1, index=0)
    assert shop.status["failedIndexes"] == "0"
    shop.end(index=1)
    assert shop.told()["Failed"] == "FailedIndexes"
    assert shop.status["completedIndexes"] == "1"


@pytest.mark.parametrize(("action", "reason", "failed"), [("FailJob", "PodFailurePolicy", 1), ("Ignore", None, 0), ("Count", None, 1)])
def test_the_pod_failure_policy(action: str, reason: str | None, failed: int) -> None:
    rule = {"action": action, "onExitCodes": {"operator": "In", "values": [42]}}
    shop = Shop(job(podFailurePolicy={"rules": [rule]})).step()
    name = shop.running[0]["metadata"]["name"]
    shop.end(42)
    assert shop.told().get("Failed") == reason
    assert shop.status.get("failed", 0) == failed
    if reason:
        message = next(c["message"] for c in shop.status["conditions"] if c["type"] == "Failed")
        assert message == f"Container c for pod default/{name} failed with exit code 42 matching FailJob rule at index 0"


def test_the_success_policy() -> None:
    policy = {"rules": [{"succeededIndexes": "0,2", "succeededCount": 1}]}
    shop = Shop(job(completionMode="Indexed", completions=3, parallelism=3, successPolicy=policy)).step()
    shop.end(index=1)
    assert "SuccessCriteriaMet" not in shop.told()
    shop.end(index=2)
    assert shop.told() == {"SuccessCriteriaMet": "SuccessPolicy", "Complete": "SuccessPolicy"}
    assert "failed" not in shop.status


def test_restarts_in_place_count_against_the_limit() -> None:
    made = job(backoffLimit=2)
    made["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    shop = Shop(made).step()
    shop.running[0]["status"] = {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 2, "state": {}}]}
    shop.step()
    assert shop.told()["Failed"] == "BackoffLimitExceeded"


def test_pods_lose_their_finalizer_when_their_job_is_gone() -> None:
    shop = Shop(job()).step()
    shop.objects = [o for o in shop.objects if o["kind"] != "Job"]
    shop.follow(shop.jobs.reconcile(shop.snapshot, ("default", "j"), shop.now))
    assert not has_finalizer(shop.list(POD)[0])


def test_jobs_that_another_controller_manages_are_left_alone() -> None:
    assert Shop(job(managedBy="example.com/other")).step().list(POD) == []


def test_adopted_pods_are_tracked() -> None:
    orphan = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "o", "labels": {"job": "j"}}, "spec": {"containers": []}}
    shop = Shop(job(), orphan).step()
    assert shop.get(POD, "o")["metadata"]["finalizers"] == [FINALIZER]
    assert len(shop.list(POD)) == 1


def test_a_refused_pod_is_no_failure_of_the_job() -> None:
    shop = Shop(job())
    shop.fails = lambda a: errors.Forbidden("quota") if isinstance(a, Create) else None
    assert shop.follow(shop.jobs.reconcile(shop.snapshot, ("default", "j"), shop.now))
    assert "failed" not in shop.status
    assert shop.events == ["FailedCreate: Error creating: quota"]


def test_a_finished_job_goes_after_its_time() -> None:
    shop = Shop(job(ttlSecondsAfterFinished=60)).step()
    shop.end()
    shop.follow(ttl_after_finished.reconcile(shop.snapshot, ("default", "j"), shop.now))
    assert shop.requeues[-1] == 60
    shop.pass_time(60)
    shop.follow(ttl_after_finished.reconcile(shop.snapshot, ("default", "j"), shop.now))
    assert shop.list(JOB) == []


@given(st.sets(st.integers(0, 40)))
def test_the_text_of_indexes_reads_back(found: set[int]) -> None:
    assert indexes.parse(indexes.text_of(found), 41) == found


def test_indexes_are_written_as_upstream_does() -> None:
    assert indexes.text_of({0, 1, 3, 4, 5, 8}) == "0,1,3-5,8"
    assert indexes.parse("0,x,3-5,9-1,7", 5) == {0, 3, 4}
