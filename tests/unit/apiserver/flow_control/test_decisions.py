"""Which schema, how wide, how many seats: the pure decisions of priority and fairness."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.flow_control import bootstrap
from kubetree.apiserver.flow_control.maintenance import FLOW_SCHEMA, PRIORITY_LEVEL, corrected, dangling
from kubetree.apiserver.flow_control.matching import distinguisher, in_order, schema_of
from kubetree.apiserver.flow_control.retry_after import Refusals
from kubetree.apiserver.flow_control.shares import Claim, Demand, Limits, adjusted, limits_of, shared_out
from kubetree.apiserver.flow_control.width import Stored, is_measured, width_of
from kubetree.apiserver.wire.request_info import parse

SCHEMAS = in_order((*bootstrap.MANDATORY_SCHEMAS, *bootstrap.SUGGESTED_SCHEMAS))
LEVELS = {o["metadata"]["name"]: o["spec"] for o in (*bootstrap.MANDATORY_LEVELS, *bootstrap.SUGGESTED_LEVELS)}
IN, OUT = "system:authenticated", "system:unauthenticated"
SA = "system:serviceaccount"


@pytest.mark.parametrize(
    ("user", "groups", "method", "path", "schema"),
    [
        ("admin", ("system:masters", IN), "GET", "/api/v1/pods", "exempt"),
        ("kubelet", (OUT,), "GET", "/readyz", "probes"),
        ("system:anonymous", (OUT,), "GET", "/version", "global-default"),
        ("system:kube-scheduler", (IN,), "PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/s", "system-leader-election"),
        ("system:kube-scheduler", (IN,), "GET", "/api/v1/pods", "kube-scheduler"),
        ("system:node:a", ("system:nodes", IN), "PATCH", "/api/v1/nodes/a/status", "system-node-high"),
        ("system:node:a", ("system:nodes", IN), "GET", "/api/v1/pods", "system-nodes"),
        (f"{SA}:kube-system:gc", (f"{SA}s", IN), "GET", "/api/v1/pods", "kube-system-service-accounts"),
        (f"{SA}:default:x", (f"{SA}s", IN), "GET", "/api/v1/pods", "service-accounts"),
        ("jane", (IN,), "DELETE", "/api/v1/namespaces/a/pods/b", "global-default"),
        ("nobody", (), "GET", "/api/v1/pods", "catch-all"),
    ],
)
def test_a_request_belongs_to_the_first_schema_that_matches(
    user: str, groups: tuple[str, ...], method: str, path: str, schema: str
) -> None:
    assert schema_of(SCHEMAS, User(user, groups=groups), parse(method, path, {}))["metadata"]["name"] == schema


def test_flows_are_told_apart_by_user_or_namespace() -> None:
    info, user = parse("GET", "/api/v1/namespaces/ns/pods", {}), User("jane")
    by_name = {s["metadata"]["name"]: distinguisher(s, user, info) for s in SCHEMAS}
    assert by_name["global-default"] == "jane" and by_name["kube-scheduler"] == "ns" and by_name["exempt"] == ""


def test_the_default_levels_share_600_seats_as_upstreams_do() -> None:
    found = limits_of(LEVELS, 600)
    assert {name: (v.nominal, v.least) for name, v in found.items()} == {
        "exempt": (0, 0), "catch-all": (13, 13), "system": (74, 50), "node-high": (98, 74), "leader-election": (25, 25),
        "workload-high": (98, 49), "workload-low": (245, 25), "global-default": (49, 25),
    }  # fmt: skip
    assert found["workload-low"].request == 37 and found["global-default"].request == 8 and found["catch-all"].request == 0


def test_idle_seats_are_lent_to_who_needs_them_and_come_back() -> None:
    limits = limits_of(LEVELS, 600)
    idle = dict.fromkeys(limits, 0)
    busy = idle | {"global-default": 400}
    lent = adjusted(limits, busy, {name: float(n) for name, n in busy.items()}, "exempt")
    assert lent["global-default"] > 49
    assert all(lent[name] >= limits[name].least for name in limits)
    all_busy = dict.fromkeys(limits, 500) | {"exempt": 0}
    fair = adjusted(limits, all_busy, {name: float(n) for name, n in all_busy.items()}, "exempt")
    assert all(abs(fair[name] - limits[name].nominal) <= 1 for name in limits)


claims = st.builds(lambda low, more, target: Claim(low, low + more, max(low, target)), *[st.floats(0, 1000)] * 3)


@given(st.lists(claims, min_size=1, max_size=8), st.floats(0, 5000))
def test_what_is_shared_out_stays_in_bounds_and_adds_up(given_claims: list[Claim], total: float) -> None:
    found = shared_out(total, given_claims)
    assert all(c.least - 1e-6 <= seats <= c.most + 1e-6 for c, seats in zip(given_claims, found, strict=True))
    low, high = sum(c.least for c in given_claims), sum(c.most for c in given_claims)
    assert sum(found) == pytest.approx(min(max(total, low), high), abs=0.01)


def test_demand_remembers_its_peak_and_forgets_it() -> None:
    demand = Demand(0.0)
    demand.set(40, 1.0)
    demand.set(0, 2.0)
    assert demand.read(10.0) == 40
    first = demand.smoothed
    assert 4 < first < 40
    assert demand.read(20.0) == 0 and 0 < demand.smoothed < first


def test_a_list_is_as_wide_as_what_it_reads() -> None:
    info, stored = parse("GET", "/api/v1/pods", {}), Stored(1000, 5_000_000, 0)
    assert width_of(info, {}, stored, 0).seats == 10, "a megabyte at once is the most"
    assert width_of(info, {"limit": ["50"]}, stored, 0).seats == 3
    assert width_of(info, {}, stored, 4).seats == 4
    assert width_of(parse("GET", "/api/v1/pods", {"fieldSelector": ["metadata.name=a"]}), {}, stored, 0).seats == 1
    assert width_of(info, {}, Stored(0, 0, 0), 0).seats == 1


def test_a_write_is_as_wide_as_its_watchers() -> None:
    info = parse("POST", "/api/v1/namespaces/a/pods", {})
    assert width_of(info, {}, Stored(10, 10, 9), 0) == (1, 0.0)
    seats, lingering = width_of(info, {}, Stored(10, 10, 1000), 0)
    assert seats == 10 and lingering == pytest.approx(0.05)
    token = parse("POST", "/api/v1/namespaces/a/serviceaccounts/b/token", {})
    assert width_of(token, {}, Stored(10, 10, 1000), 0) == (1, 0.0)


def test_only_what_begins_with_objects_is_measured() -> None:
    watch = parse("GET", "/api/v1/pods", {"watch": ["1"]})
    assert is_measured(watch, {"resourceVersion": ["0"]}) and not is_measured(watch, {"resourceVersion": ["77"]})
    assert not is_measured(parse("GET", "/api/v1/namespaces/a/pods/b", {}), {})


def test_the_longer_a_rush_the_later_one_may_come_again() -> None:
    refusals = Refusals()
    assert [refusals.add(100) for _ in range(5)][-1] == 1
    assert [refusals.add(101) for _ in range(5)][-1] == 2
    assert [refusals.add(102) for _ in range(5)][-1] == 2, "not twice for one rush"
    assert refusals.add(103) == 4
    for second in range(200, 260, 10):
        refusals.add(second)
    assert refusals.seconds == 1


def _standing(wanted: dict[str, Any], spec: Any = None, generation: int = 2, **annotations: str) -> dict[str, Any]:
    named = {key.replace("_", "/"): value for key, value in annotations.items()}
    metadata = {"name": wanted["metadata"]["name"], "generation": generation, "annotations": named}
    return {"metadata": metadata, "spec": spec or wanted["spec"]}


def test_suggested_objects_follow_their_annotation_mandatory_ones_do_not() -> None:
    wanted, changed = bootstrap.SUGGESTED_LEVELS[0], bootstrap.SUGGESTED_LEVELS[1]["spec"]
    kept = _standing(wanted, changed) | {}
    kept["metadata"]["annotations"] = {bootstrap.AUTO_UPDATE: "false"}
    assert corrected(PRIORITY_LEVEL, kept, wanted, always=False) is None
    assert corrected(PRIORITY_LEVEL, kept, wanted, always=True)["spec"] == wanted["spec"]
    kept["metadata"]["annotations"] = {bootstrap.AUTO_UPDATE: "true"}
    assert corrected(PRIORITY_LEVEL, kept, wanted, always=False)["spec"] == wanted["spec"]
    edited = _standing(wanted, changed)
    found = corrected(PRIORITY_LEVEL, edited, wanted, always=False)
    assert found["spec"] == changed and found["metadata"]["annotations"] == {bootstrap.AUTO_UPDATE: "false"}


def test_a_schema_says_whether_its_level_exists() -> None:
    schema = bootstrap.SUGGESTED_SCHEMAS[1]
    said = dangling(schema, {"other"}, "2026-01-01T00:00:00Z")
    assert (said["status"], said["reason"]) == ("True", "NotFound")
    told = schema | {"status": {"conditions": [said]}}
    assert dangling(told, {"other"}, "later") is None
    assert dangling(told, {"leader-election"}, "later")["reason"] == "Found"


@pytest.mark.parametrize("row, objects", [
    (FLOW_SCHEMA, (*bootstrap.MANDATORY_SCHEMAS, *bootstrap.SUGGESTED_SCHEMAS)),
    (PRIORITY_LEVEL, (*bootstrap.MANDATORY_LEVELS, *bootstrap.SUGGESTED_LEVELS)),
])  # fmt: skip
def test_what_is_written_needs_no_correction(row: Any, objects: tuple[Any, ...]) -> None:
    for wanted in objects:
        written = corrected(row, _standing(wanted, {"other": 1}), wanted, always=True)
        assert corrected(row, written, wanted, always=True) is None


def test_limits_without_levels() -> None:
    assert limits_of({}, 600) == {} and adjusted({"exempt": Limits(0, 0, 600)}, {"exempt": 3}, {"exempt": 3.0}, "exempt") == {"exempt": 3}
