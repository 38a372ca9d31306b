from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubetree.api.kind_table import kind
from kubetree.api.times import format_time
from kubetree.controllers.cronjobs import timing
from kubetree.controllers.cronjobs.schedules import schedule
from kubetree.controllers.cronjobs.timing import missed
from world import World

CRON_JOB, JOB = kind("batch/v1", "CronJob"), kind("batch/v1", "Job")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "after", "following"),
    [
        ("*/15 * * * *", "2026-01-01T00:07:30", "2026-01-01T00:15:00"),
        ("0 9-17/4 * * mon-fri", "2026-01-02T13:00:00", "2026-01-02T17:00:00"),
        ("0 9-17/4 * * MON-FRI", "2026-01-02T17:00:00", "2026-01-05T09:00:00"),
        ("30 4 1,15 * 5", "2026-01-01T05:00:00", "2026-01-02T04:30:00"),
        ("0 0 13 * *", "2026-01-13T00:00:00", "2026-02-13T00:00:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("@hourly", "2026-01-01T00:30:00", "2026-01-01T01:00:00"),
        ("@weekly", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ("5/20 * * * ?", "2026-01-01T00:00:00", "2026-01-01T00:05:00"),
        ("@every 90s", "2026-01-01T00:00:00", "2026-01-01T00:01:30"),
    ],
)
def test_what_comes_next(text: str, after: str, following: str) -> None:
    assert schedule(text).next(at(after)) == at(following)


def test_a_day_that_never_comes() -> None:
    assert schedule("0 0 30 2 *").next(at("2026-01-01")) is None


def test_time_zones_and_summer_time() -> None:
    berlin = schedule("30 2 * * *", "Europe/Berlin")
    assert berlin.next(at("2026-03-27T12:00:00")) == at("2026-03-28T01:30:00")
    assert berlin.next(at("2026-03-28T12:00:00")) == at("2026-03-30T00:30:00")
    assert schedule("0 6 * * *", "Asia/Tokyo").next(at("2026-01-01")) == at("2026-01-01T21:00:00")


def test_missed_moments_are_reckoned_and_not_counted() -> None:
    stand = missed(schedule("* * * * *"), at("2025-01-01"), at("2026-01-01T00:00:30"))
    assert (stand.latest, stand.many) == (at("2026-01-01"), True)
    assert missed(schedule("@daily"), at("2026-01-01"), at("2026-01-01T12:00:00")).latest is None


def cron_job(**spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"x": "y"}}, "spec": {"template": {"spec": {"containers": []}}}}
    made = {"schedule": "0 * * * *", "jobTemplate": template, "concurrencyPolicy": "Allow", **spec}
    limits = {"successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": limits | made, "status": {}}


class Clock(World):
    """Time passes, jobs end."""

    def __init__(self, made: dict[str, Any]) -> None:
        super().__init__(made)

    def hours(self, number: float) -> Clock:
        self.pass_time(number * 3600)
        self.settle(timing.reconcile, CRON_JOB)
        return self

    def end(self, name: str, how: str = "Complete") -> None:
        job = self.get(JOB, name)
        job["status"] = {"conditions": [{"type": how, "status": "True"}], "startTime": format_time(self.now)}
        if how == "Complete":
            job["status"]["completionTime"] = format_time(self.now)
        self.settle(timing.reconcile, CRON_JOB)

    @property
    def jobs(self) -> list[str]:
        return sorted(j["metadata"]["name"] for j in self.list(JOB))

    @property
    def c(self) -> dict[str, Any]:
        return self.get(CRON_JOB, "c")


def name_of(time: str) -> str:
    return f"c-{int(at(time).timestamp()) // 60}"


FIRST = name_of("2026-01-01T01:00:00")


def test_a_job_starts_when_its_time_has_come() -> None:
    clock = Clock(cron_job()).hours(0.5)
    assert clock.jobs == []
    assert clock.requeues[-1] == pytest.approx(1800.1)
    clock.hours(0.5)
    assert clock.jobs == [FIRST]
    job = clock.get(JOB, FIRST)
    assert job["metadata"]["annotations"] == {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T01:00:00Z"}
    assert job["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
    assert clock.c["status"]["lastScheduleTime"] == "2026-01-01T01:00:00Z"
    assert [r["name"] for r in clock.c["status"]["active"]] == [FIRST]
    clock.end(FIRST)
    assert "active" not in clock.c["status"]
    assert clock.c["status"]["lastSuccessfulTime"] == "2026-01-01T01:00:00Z"
    assert clock.events == [f"SuccessfulCreate: Created job {FIRST}", f"SawCompletedJob: Saw completed job: {FIRST}, condition: Complete"]


@pytest.mark.parametrize(("policy", "left"), [("Allow", 2), ("Forbid", 1), ("Replace", 1)])
def test_when_the_last_job_still_runs(policy: str, left: int) -> None:
    clock = Clock(cron_job(concurrencyPolicy=policy)).hours(1).hours(1)
    assert len(clock.jobs) == left
    assert (FIRST in clock.jobs) == (policy != "Replace")
    assert any(e.startswith("JobAlreadyActive") for e in clock.events) == (policy == "Forbid")


def test_what_was_missed_is_made_up_for_once() -> None:
    assert Clock(cron_job()).hours(5.5).jobs == [name_of("2026-01-01T05:00:00")]


def test_what_is_too_late_is_not_made_up_for() -> None:
    clock = Clock(cron_job(startingDeadlineSeconds=60)).hours(1.5)
    assert clock.jobs == []


def test_suspended_ones_start_nothing() -> None:
    assert Clock(cron_job(suspend=True)).hours(3).jobs == []


def test_only_so_many_ended_jobs_are_kept() -> None:
    clock = Clock(cron_job(successfulJobsHistoryLimit=1, failedJobsHistoryLimit=0))
    for hour in range(1, 4):
        clock.hours(1)
        clock.end(name_of(f"2026-01-01T0{hour}:00:00"), "Failed" if hour == 2 else "Complete")
    assert clock.jobs == [name_of("2026-01-01T03:00:00")]


def test_a_malformed_schedule_is_told_of() -> None:
    clock = Clock(cron_job(schedule="what"))
    clock.follow(timing.reconcile(clock.snapshot, ("default", "c"), clock.now))
    assert clock.events[0].startswith('UnparseableSchedule: unparseable schedule: "what" : ')


def test_a_schedule_that_never_comes_is_told_of() -> None:
    clock = Clock(cron_job(schedule="59 23 31 2 *"))
    clock.follow(timing.reconcile(clock.snapshot, ("default", "c"), clock.now))
    assert clock.events == ["InvalidSchedule: invalid schedule: 59 23 31 2 * : time difference between two schedules is less than 1 second"]
    assert clock.requeues == []


def test_a_zone_within_the_schedule_works_and_is_told_of() -> None:
    clock = Clock(cron_job(schedule="TZ=Asia/Tokyo 0 10 * * *")).hours(1)
    assert clock.jobs == [FIRST]
    assert clock.events[0].startswith('UnsupportedSchedule: CRON_TZ or TZ used in schedule "TZ=Asia/Tokyo 0 10 * * *" is not officially')


def test_many_missed_moments_are_told_of_only_with_one_to_make_up_for() -> None:
    every = cron_job(schedule="* * * * *", startingDeadlineSeconds=6030)
    assert any(e.startswith("TooManyMissedTimes") for e in Clock(every).hours(3).events)


def test_a_job_that_vanished_is_no_longer_active() -> None:
    clock = Clock(cron_job()).hours(1)
    clock.objects = [o for o in clock.objects if o["kind"] != "Job"]
    clock.settle(timing.reconcile, CRON_JOB)
    assert "active" not in clock.c["status"]
    assert clock.events[-1] == f"MissingJob: Active job went missing: {FIRST}"
