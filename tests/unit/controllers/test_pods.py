"""Which pods go first when a ReplicaSet shrinks: one rule after the other, in upstream's order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubetree.api.times import format_time
from kubetree.controllers import pods

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(name: str, *, node: str = "a", phase: str = "Running", ready: float | None = 100, age: float = 200, **more: Any) -> dict[str, Any]:
    """`ready` and `age` in seconds before now."""
    conditions = []
    if ready is not None:
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": format_time(NOW - timedelta(seconds=ready))}]
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "creationTimestamp": format_time(NOW - timedelta(seconds=age)),
            "annotations": {pods.DELETION_COST: more["cost"]} if "cost" in more else {},
        },
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": conditions, "containerStatuses": [{"name": "c", "restartCount": more.get("restarts", 0)}]},
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod("unassigned", node="", phase="Pending", ready=None), pod("assigned", phase="Pending", ready=None)),
        (pod("pending", phase="Pending", ready=None), pod("unknown", phase="Unknown", ready=None)),
        (pod("unknown", phase="Unknown", ready=None), pod("running", ready=None)),
        (pod("unready", ready=None, cost="100"), pod("ready")),
        (pod("cheap", cost="-5", node="b"), pod("dear", cost="3")),
        (pod("crowded", node="a", ready=1000, age=1000), pod("alone", node="b")),
        (pod("just-ready", ready=5), pod("long-ready", ready=500)),
        (pod("restarting", restarts=3), pod("steady")),
        (pod("young", age=10, ready=None), pod("old", age=1000, ready=None)),
    ],
)
def test_rule_by_rule(first: dict[str, Any], second: dict[str, Any]) -> None:
    on_node = {"a": 2, "b": 1}
    for given in ([first, second], [second, first]):
        assert pods.in_order_of_deletion(given, on_node, NOW) == [first, second]


def test_nearly_equal_ages_are_decided_by_uid_not_by_time() -> None:
    older, younger = pod("a", age=110, ready=None), pod("b", age=100, ready=None)
    assert pods.in_order_of_deletion([younger, older], {}, NOW) == [older, younger]


@pytest.mark.parametrize(("text", "cost"), [("10", 10), ("-10", -10), ("+1", 0), ("01", 0), ("1.5", 0), ("", 0), (str(2**31), 0)])
def test_a_malformed_deletion_cost_counts_as_zero(text: str, cost: int) -> None:
    assert pods.deletion_cost(pod("p", cost=text)) == cost


def test_available_only_after_min_ready_seconds() -> None:
    waiting = pod("p", ready=4)
    assert not pods.is_available(waiting, 10, NOW)
    assert pods.seconds_until_available([waiting], 10, NOW) == 6
    assert pods.is_available(waiting, 4, NOW)
    assert pods.is_available(waiting, 0, NOW)
