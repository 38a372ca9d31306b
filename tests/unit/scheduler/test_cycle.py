"""Scheduling decisions, and upstream's words for why there is none."""

from typing import Any

import pytest

from kubetree.scheduler.cycle import Placed, Unschedulable, schedule
from kubetree.scheduler.plugins.default import default_profile
from kubetree.scheduler.pod_info import pod_info
from kubetree.scheduler.snapshot import Snapshot

PROFILE = default_profile(lambda pod: None, lambda namespace: {})
Object = dict[str, Any]


def node(name: str, cpu: str = "4", memory: str = "8Gi", pods: str = "110", *, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    all_labels = {"kubernetes.io/hostname": name, **(labels or {})}
    return {
        "metadata": {"name": name, "labels": all_labels},
        "spec": spec,
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods}},
    }


def pod(
    name: str, cpu: str = "", memory: str = "", *, labels: dict[str, str] | None = None, ports: list[Object] | None = None, **spec: Any
) -> Object:
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    container: Object = {"name": "c", "image": "i", "resources": {"requests": requests}, "ports": ports or []}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": name, "labels": labels or {}},
        "spec": {"containers": [container], **spec},
    }


def snapshot(*nodes: Object, placed: dict[str, list[Object]] | None = None) -> Snapshot:
    result = Snapshot()
    for each in nodes:
        result.set_node(each)
    for name, pods in (placed or {}).items():
        for each in pods:
            result.add_pod(name, pod_info(each))
    return result


def where(wanted: Object, cluster: Snapshot) -> str:
    """The node's name, or the message."""
    answer = schedule(pod_info(wanted), cluster, PROFILE, lambda n: 0)
    return answer.node if isinstance(answer, Placed) else answer.message


def test_no_nodes() -> None:
    assert where(pod("p"), snapshot()) == "no nodes available to schedule pods"


def test_reasons_are_counted_by_node_and_sorted() -> None:
    cluster = snapshot(
        node("a", cpu="1"),
        node("b", cpu="1", memory="1Gi"),
        node("c", unschedulable=True),
        node("d", taints=[{"key": "k", "effect": "NoSchedule"}]),
    )
    expected = "0/4 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, 2 Insufficient cpu."
    assert where(pod("p", cpu="2", memory="2Gi"), cluster) == expected


def test_a_full_node_says_too_many_pods() -> None:
    cluster = snapshot(node("a", pods="1"), placed={"a": [pod("x")]})
    assert where(pod("p"), cluster) == "0/1 nodes are available: 1 Too many pods."


def test_room_comes_back_when_a_pod_goes() -> None:
    cluster = snapshot(node("a", cpu="1"), placed={"a": [pod("x", cpu="1")]})
    assert where(pod("p", cpu="500m"), cluster) == "0/1 nodes are available: 1 Insufficient cpu."
    cluster.remove_pod("a", ("default", "x"))
    assert where(pod("p", cpu="500m"), cluster) == "a"


def test_the_emptier_node_wins() -> None:
    cluster = snapshot(node("a"), node("b"), placed={"a": [pod("x", cpu="2", memory="4Gi")]})
    assert where(pod("p", cpu="100m", memory="100Mi"), cluster) == "b"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"nodeSelector": {"disk": "ssd"}}, "b"),
        ({"nodeSelector": {"disk": "none"}}, "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."),
        ({"nodeName": "nowhere"}, "0/2 nodes are available: 2 node(s) didn't match the requested node name."),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "disk", "operator": "NotIn", "values": ["ssd"]}]},
                            ]
                        }
                    }
                }
            },
            "a",
        ),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {"weight": 50, "preference": {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}}
                        ]
                    }
                }
            },
            "b",
        ),
    ],
)
def test_node_selection(spec: Object, expected: str) -> None:
    assert where(pod("p", **spec), snapshot(node("a"), node("b", labels={"disk": "ssd"}))) == expected


def test_tolerations_open_tainted_nodes() -> None:
    cluster = snapshot(node("a", taints=[{"key": "k", "value": "v", "effect": "NoExecute"}]))
    assert where(pod("p", tolerations=[{"key": "k", "operator": "Equal", "value": "w"}]), cluster).startswith("0/1")
    assert where(pod("p", tolerations=[{"operator": "Exists"}]), cluster) == "a"


def test_soft_taints_only_push_away() -> None:
    cluster = snapshot(node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}]), node("b"))
    assert where(pod("p"), cluster) == "b"


def test_host_ports_conflict_by_address() -> None:
    taken = pod("x", ports=[{"containerPort": 80, "hostPort": 80, "hostIP": "127.0.0.1"}])
    cluster = snapshot(node("a"), placed={"a": [taken]})
    message = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
    assert where(pod("p", ports=[{"containerPort": 80, "hostPort": 80}]), cluster) == message
    assert where(pod("p", ports=[{"containerPort": 80, "hostPort": 80, "hostIP": "127.0.0.2"}]), cluster) == "a"


def spread(when: str, key: str = "zone", skew: int = 1) -> Object:
    return {"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": {"matchLabels": {"app": "web"}}}


def test_hard_spreading_keeps_the_skew() -> None:
    cluster = snapshot(
        node("a", labels={"zone": "1"}),
        node("b", labels={"zone": "2"}),
        node("c"),
        placed={"a": [pod("x", labels={"app": "web"})]},
    )
    wanted = pod("p", labels={"app": "web"}, topologySpreadConstraints=[spread("DoNotSchedule")])
    assert where(wanted, cluster) == "b"
    cluster.remove_node("b")
    cluster.set_node(node("b", labels={"zone": "2"}, unschedulable=True))
    expected = (
        "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints, "
        "1 node(s) didn't match pod topology spread constraints (missing required label), 1 node(s) were unschedulable."
    )
    assert where(wanted, cluster) == expected


def test_soft_spreading_prefers_the_emptier_zone_and_follows_removals() -> None:
    cluster = snapshot(
        node("a", labels={"zone": "1"}), node("b", labels={"zone": "2"}), placed={"a": [pod("x", labels={"app": "web"})], "b": []}
    )
    wanted = pod("p", labels={"app": "web"}, topologySpreadConstraints=[spread("ScheduleAnyway")])
    assert where(wanted, cluster) == "b"
    cluster.remove_pod("a", ("default", "x"))
    cluster.add_pod("b", pod_info(pod("y", labels={"app": "web"})))
    assert where(wanted, cluster) == "a"


def affinity(side: str, key: str = "zone") -> Object:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": "web"}}}
    return {"affinity": {side: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def test_pod_affinity_and_its_first_pod() -> None:
    nodes = node("a", labels={"zone": "1"}), node("b", labels={"zone": "2"})
    assert (
        where(pod("p", **affinity("podAffinity")), snapshot(*nodes))
        == "0/2 nodes are available: 2 node(s) didn't match pod affinity rules."
    )
    assert where(pod("p", labels={"app": "web"}, **affinity("podAffinity")), snapshot(*nodes)) == "a"
    cluster = snapshot(*nodes, placed={"b": [pod("x", labels={"app": "web"})]})
    assert where(pod("p", **affinity("podAffinity")), cluster) == "b"


def test_anti_affinity_works_both_ways() -> None:
    nodes = node("a", labels={"zone": "1"}), node("b", labels={"zone": "1"})
    own = snapshot(*nodes, placed={"a": [pod("x", labels={"app": "web"})]})
    assert where(pod("p", **affinity("podAntiAffinity")), own) == "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."
    theirs = snapshot(*nodes, placed={"a": [pod("x", **affinity("podAntiAffinity"))]})
    message = "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules."
    assert where(pod("p", labels={"app": "web"}), theirs) == message


def test_what_refused_and_where_preemption_may_help() -> None:
    cluster = snapshot(node("a", cpu="1"), node("b", unschedulable=True))
    answer = schedule(pod_info(pod("p", cpu="2")), cluster, PROFILE, lambda n: 0)
    assert isinstance(answer, Unschedulable)
    assert answer.plugins == {"NodeResourcesFit", "NodeUnschedulable"}
    assert [cluster.node_name(row) for row in answer.helpful.nonzero()[0]] == ["a"]


def test_more_nodes_than_the_first_rows() -> None:
    cluster = snapshot(*(node(f"n{i}", cpu="1") for i in range(200)), node("big", cpu="8"))
    assert where(pod("p", cpu="3"), cluster) == "big"
    cluster.remove_node("big")
    assert where(pod("p", cpu="3"), cluster) == "0/200 nodes are available: 200 Insufficient cpu."


def test_extended_resources_count() -> None:
    big = node("a")
    big["status"]["allocatable"]["example.com/gpu"] = "1"
    cluster = snapshot(node("b"), big)
    wanted = pod("p")
    wanted["spec"]["containers"][0]["resources"]["requests"] = {"example.com/gpu": "1"}
    assert where(wanted, cluster) == "a"
    cluster.add_pod("a", pod_info(wanted))
    assert (
        where({**wanted, "metadata": {**wanted["metadata"], "name": "q"}}, cluster)
        == "0/2 nodes are available: 2 Insufficient example.com/gpu."
    )


def test_pods_of_a_node_that_comes_back_count_again() -> None:
    cluster = snapshot(node("a", cpu="1"), placed={"a": [pod("x", cpu="1")]})
    cluster.remove_node("a")
    cluster.set_node(node("a", cpu="1"))
    assert where(pod("p", cpu="1"), cluster) == "0/1 nodes are available: 1 Insufficient cpu."
