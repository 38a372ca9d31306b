"""When a quota is counted anew."""

from __future__ import annotations

from typing import Any

from kubetree.controllers.plan import RequeueAfter, Update
from kubetree.controllers.resource_quota import RECOUNT, RESOURCE_QUOTA, SOON, duty
from world import World

KEY = ("default", "q")
RECOUNTED = (*KEY, RECOUNT)


def test_what_admission_charged_is_no_reason_to_count_again() -> None:
    same = duty(300).same[RESOURCE_QUOTA]
    quota = {"spec": {"hard": {"services": "1"}}, "status": {"used": {"services": "0"}}}
    assert same(quota, quota | {"status": {"used": {"services": "1"}}})
    assert not same(quota, quota | {"spec": {"hard": {"services": "2"}}})


def counted(key: tuple[str, ...], *, used: str, pods: int) -> tuple[str | None, dict[str, Any]]:
    """The pods that the quota says are used after a count, None where nothing is written; and when which key comes again."""
    world = World(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "q"},
            "spec": {"hard": {"pods": "5"}},
            "status": {"hard": {"pods": "5"}, "used": {"pods": used}},
        }
    )
    for i in range(pods):
        world.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{i}"}, "spec": {"containers": []}})
    plan = duty(300).reconcile(world.snapshot, key, world.now)
    written = [a.obj["status"]["used"]["pods"] for a in plan.actions if isinstance(a, Update)]
    return next(iter(written), None), {a.key: a.seconds for a in plan.actions if isinstance(a, RequeueAfter)}


def test_what_went_is_given_back_and_soon_counted_again() -> None:
    assert counted(KEY, used="3", pods=2) == ("2", {RECOUNTED: SOON})


def test_counting_again_puts_right_what_was_given_back_too_much() -> None:
    assert counted(RECOUNTED, used="2", pods=3) == ("3", {RECOUNTED: SOON})


def test_counting_again_leaves_alone_what_admission_charged_for_a_pod_that_is_not_stored_yet() -> None:
    assert counted(RECOUNTED, used="3", pods=2) == (None, {KEY: 300})
    assert counted(RECOUNTED, used="2", pods=2) == (None, {KEY: 300})
