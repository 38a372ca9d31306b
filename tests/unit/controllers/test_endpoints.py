"""Endpoints and EndpointSlices of Services, and slices that mirror hand-written Endpoints."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubetree.api.kind_table import kind
from kubetree.controllers import endpoints, endpointslice_mirroring, endpointslices
from kubetree.controllers.slice_packing import MAX_ENDPOINTS, pack
from world import World

SERVICE, POD, NODE = kind("v1", "Service"), kind("v1", "Pod"), kind("v1", "Node")
ENDPOINTS, SLICE = kind("v1", "Endpoints"), kind("discovery.k8s.io/v1", "EndpointSlice")


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    made = {"selector": {"app": "web"}, "clusterIP": "10.96.0.10", "ipFamilies": ["IPv4"], "ports": ports, **spec}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "labels": {"team": "a"}},
        "spec": {k: v for k, v in made.items() if v is not None},
    }


def pod(name: str, ip: str, *, ready: bool = True, deleting: bool = False, port: int = 8080, **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:09Z"}]
    metadata: dict[str, Any] = {"name": name, "labels": {"app": "web"}, "uid": name}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    container = {"name": "c", "ports": [{"name": "web", "containerPort": port, "protocol": "TCP"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], "nodeName": "node"},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": conditions, **status},
    }


def node(zone: str = "z1") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node", "namespace": "", "labels": {"topology.kubernetes.io/zone": zone}},
    }


def slices_of(*objects: dict[str, Any]) -> tuple[World, list[dict[str, Any]]]:
    world = World(node(), *objects)
    world.settle(endpointslices.reconcile, SERVICE)
    return world, world.list(SLICE)


def test_a_slice_tells_what_upstream_tells() -> None:
    _, (slice_,) = slices_of(service(), pod("p", "10.0.0.1"))
    assert slice_["metadata"]["name"].startswith("web-")
    assert slice_["metadata"]["labels"] == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert slice_["metadata"]["ownerReferences"][0]["kind"] == "Service"
    assert slice_["metadata"]["annotations"] == {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:09Z"}
    assert slice_["addressType"] == "IPv4"
    assert slice_["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert slice_["endpoints"] == [
        {
            "addresses": ["10.0.0.1"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "p", "uid": "p"},
            "nodeName": "node",
            "zone": "z1",
        }
    ]


def conditions_of(world: World) -> dict[str, tuple[bool, bool, bool]]:
    return {
        e["targetRef"]["name"]: tuple(e["conditions"][c] for c in ("ready", "serving", "terminating"))  # type: ignore[misc]
        for s in world.list(SLICE)
        for e in s["endpoints"]
    }


def test_readiness_serving_and_terminating() -> None:
    pods = (pod("good", "10.0.0.1"), pod("bad", "10.0.0.2", ready=False), pod("leaving", "10.0.0.3", deleting=True))
    world, _ = slices_of(service(), *pods, pod("done", "10.0.0.4", phase="Succeeded"))
    assert conditions_of(world) == {"good": (True, True, False), "bad": (False, False, False), "leaving": (False, True, True)}
    world, _ = slices_of(service(publishNotReadyAddresses=True), *pods)
    assert conditions_of(world)["bad"] == (True, False, False)
    assert conditions_of(world)["leaving"] == (True, True, True)


def test_a_service_without_pods_has_one_empty_slice() -> None:
    world, (slice_,) = slices_of(service())
    assert (slice_["endpoints"], slice_["ports"]) == ([], [])
    world.add(pod("p", "10.0.0.1"))
    world.settle(endpointslices.reconcile, SERVICE)
    (filled,) = world.list(SLICE)
    assert filled["metadata"]["name"] == slice_["metadata"]["name"]


def test_pods_with_other_numbers_for_a_named_port_get_their_own_slice() -> None:
    named = service(ports=[{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}])
    _, slices = slices_of(named, pod("a", "10.0.0.1", port=8080), pod("b", "10.0.0.2", port=9090))
    assert sorted(s["ports"][0]["port"] for s in slices) == [8080, 9090]


def test_headless_hostnames_and_families() -> None:
    named = pod("a", "10.0.0.1", podIPs=[{"ip": "10.0.0.1"}, {"ip": "fd00::1"}])
    named["spec"].update(hostname="first", subdomain="web")
    _, slices = slices_of(service(clusterIP="None", ipFamilies=["IPv4", "IPv6"]), named)
    assert {s["addressType"]: s["endpoints"][0]["addresses"] for s in slices} == {"IPv4": ["10.0.0.1"], "IPv6": ["fd00::1"]}
    assert all(s["endpoints"][0]["hostname"] == "first" for s in slices)
    assert all("service.kubernetes.io/headless" in s["metadata"]["labels"] for s in slices)


def test_services_that_name_their_backends_themselves_are_left_alone() -> None:
    assert slices_of(service(selector=None), pod("p", "10.0.0.1"))[1] == []
    assert slices_of(service(type="ExternalName"), pod("p", "10.0.0.1"))[1] == []


def test_a_pod_on_an_unknown_node_waits_for_it() -> None:
    world = World(service(), pod("p", "10.0.0.1"))
    world.settle(endpointslices.reconcile, SERVICE)
    assert world.list(SLICE)[0]["endpoints"] == []
    assert world.requeues


@given(before=st.integers(0, 350), kept=st.integers(0, 350), added=st.integers(0, 350))
def test_packing_keeps_every_endpoint_once_and_leaves_slices_alone_where_it_can(before: int, kept: int, added: int) -> None:
    def endpoint(number: int) -> dict[str, Any]:
        return {"addresses": [f"10.0.{number // 250}.{number % 250}"], "conditions": {"ready": True}}

    existing = [
        {
            "metadata": {"name": f"s{start}", "labels": {}},
            "endpoints": [endpoint(n) for n in range(start, min(start + MAX_ENDPOINTS, before))],
        }
        for start in range(0, before, MAX_ENDPOINTS)
    ]
    desired = [endpoint(n) for n in range(min(kept, before))] + [endpoint(1000 + n) for n in range(added)]
    difference = pack(existing, desired, {})
    touched = {s["metadata"]["name"] for s in (*difference.update, *difference.delete)}
    result = [s["endpoints"] for s in existing if s["metadata"]["name"] not in touched]
    result += [s["endpoints"] for s in difference.update] + difference.create
    assert all(0 < len(endpoints_) <= MAX_ENDPOINTS for endpoints_ in result)
    assert sorted(e["addresses"] for endpoints_ in result for e in endpoints_) == sorted(e["addresses"] for e in desired)
    full_and_kept = {s["metadata"]["name"] for s in existing[: kept // MAX_ENDPOINTS] if len(s["endpoints"]) == MAX_ENDPOINTS}
    assert not touched & full_and_kept


def endpoints_of(*objects: dict[str, Any]) -> dict[str, Any]:
    world = World(*objects)
    world.settle(endpoints.reconcile, SERVICE)
    (found,) = world.list(ENDPOINTS)
    return found


def test_endpoints_share_ports_and_sort_addresses() -> None:
    found = endpoints_of(service(), pod("b", "10.0.0.10"), pod("a", "10.0.0.9"), pod("c", "10.0.0.11", ready=False))
    assert found["metadata"]["labels"] == {"team": "a", "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    (subset,) = found["subsets"]
    assert [a["ip"] for a in subset["addresses"]] == ["10.0.0.9", "10.0.0.10"]
    assert [a["ip"] for a in subset["notReadyAddresses"]] == ["10.0.0.11"]
    assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert subset["addresses"][0]["targetRef"] == {"kind": "Pod", "namespace": "default", "name": "a", "uid": "a"}
    assert subset["addresses"][0]["nodeName"] == "node"


def test_endpoints_hold_no_terminating_pod_and_only_the_first_family() -> None:
    both = pod("a", "10.0.0.1", podIPs=[{"ip": "10.0.0.1"}, {"ip": "fd00::1"}])
    found = endpoints_of(service(ipFamilies=["IPv6", "IPv4"]), both, pod("leaving", "10.0.0.2", deleting=True))
    assert [a["ip"] for s in found["subsets"] for a in s["addresses"]] == ["fd00::1"]


def test_a_service_without_pods_has_endpoints_without_subsets() -> None:
    assert "subsets" not in endpoints_of(service())


def test_endpoints_beyond_a_thousand_are_cut_and_say_so() -> None:
    many = [pod(f"p{n}", f"10.0.{n // 250}.{n % 250}") for n in range(1005)]
    found = endpoints_of(service(), *many, pod("bad", "10.1.0.1", ready=False))
    assert found["metadata"]["annotations"]["endpoints.kubernetes.io/over-capacity"] == "truncated"
    (subset,) = found["subsets"]
    assert len(subset["addresses"]) == 1000
    assert "notReadyAddresses" not in subset


def test_endpoints_go_with_their_service_but_not_those_of_others() -> None:
    world = World(service())
    world.settle(endpoints.reconcile, SERVICE)
    world.objects = [o for o in world.objects if o["kind"] != "Service"]
    mine = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "mine"}}
    world.add(mine)
    for name in ("web", "mine"):
        world.follow(endpoints.reconcile(world.snapshot, ("default", name), world.now))
    assert [o["metadata"]["name"] for o in world.list(ENDPOINTS)] == ["mine"]


def test_hand_written_endpoints_are_mirrored() -> None:
    subsets = [
        {"addresses": [{"ip": "192.168.0.1"}], "notReadyAddresses": [{"ip": "192.168.0.2"}, {"ip": "fd00::2"}], "ports": [{"port": 5432}]}
    ]
    mine = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web", "labels": {"x": "y"}}, "subsets": subsets}
    world = World(service(selector=None), mine)
    world.settle(endpointslice_mirroring.reconcile, ENDPOINTS)
    by_family = {s["addressType"]: s for s in world.list(SLICE)}
    assert [(e["addresses"][0], e["conditions"]["ready"]) for e in by_family["IPv4"]["endpoints"]] == [
        ("192.168.0.1", True), ("192.168.0.2", False),
    ]  # fmt: skip
    assert by_family["IPv6"]["endpoints"][0]["conditions"] == {"ready": False}
    labels = by_family["IPv4"]["metadata"]["labels"]
    assert labels["endpointslice.kubernetes.io/managed-by"] == "endpointslicemirroring-controller.k8s.io"
    assert labels["x"] == "y"
    world.get(ENDPOINTS, "web")["subsets"] = subsets[:0]
    world.settle(endpointslice_mirroring.reconcile, ENDPOINTS)
    assert world.list(SLICE) == []


def test_endpoints_that_ask_for_it_or_have_a_selector_are_not_mirrored() -> None:
    subsets = [{"addresses": [{"ip": "192.168.0.1"}]}]
    skipped = {"apiVersion": "v1", "kind": "Endpoints", "subsets": subsets}
    skip_label = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    for svc, marked in ((service(selector=None), skip_label), (service(), {})):
        world = World(svc, {**skipped, "metadata": {"name": "web", "labels": marked}})
        world.settle(endpointslice_mirroring.reconcile, ENDPOINTS)
        assert world.list(SLICE) == []
