"""Disruption budgets, as an eviction sees them."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.errors import TooManyRequests
from kubetree.apiserver.subresources.eviction import decremented, ignores_budgets, unhealthy_may_go

NOW = "2026-01-02T03:04:05Z"


def budget(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "b", "generation": 1}, "spec": {}, "status": {"observedGeneration": 1, **status}}


def test_an_eviction_takes_one_disruption() -> None:
    new = decremented(budget(disruptionsAllowed=1), "p", NOW)
    assert new["status"]["disruptionsAllowed"] == 0
    assert new["status"]["disruptedPods"] == {"p": NOW}
    assert new["status"]["conditions"][0]["reason"] == "InsufficientPods"


def test_no_disruption_left_says_why() -> None:
    with pytest.raises(TooManyRequests) as refused:
        decremented(budget(disruptionsAllowed=0, currentHealthy=2, desiredHealthy=2), "p", NOW)
    assert refused.value.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert refused.value.causes[0].message == "The disruption budget b needs 2 healthy pods and has 2 currently"


def test_a_budget_that_was_not_looked_at_yet_makes_clients_come_back() -> None:
    stale = budget(disruptionsAllowed=5)
    stale["metadata"]["generation"] = 2
    with pytest.raises(TooManyRequests) as refused:
        decremented(stale, "p", NOW)
    assert refused.value.retry_after == 10


def test_pods_that_disrupt_nobody() -> None:
    assert ignores_budgets({"metadata": {}, "status": {"phase": "Pending"}})
    assert ignores_budgets({"metadata": {"deletionTimestamp": NOW}, "status": {"phase": "Running"}})
    assert not ignores_budgets({"metadata": {}, "status": {"phase": "Running"}})
    unready: dict[str, Any] = {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    assert unhealthy_may_go(budget(currentHealthy=2, desiredHealthy=2), unready)
    assert not unhealthy_may_go(budget(currentHealthy=1, desiredHealthy=2), unready)
