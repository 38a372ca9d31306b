"""Two nodes on one link: pods reach each other across them, by address and by service, with policies that tell the nodes apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node.node_processes import NODE_IP, OUTSIDE_IP, Nodes, endpoint_slice, eventually, lookup

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

WEB, NEAR = "10.96.0.20", "10.96.0.21"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    made = Nodes(tmp_path_factory.mktemp("nodes"), 2)
    try:
        for node, name in zip(made.nodes, "ab", strict=True):
            node.add_pod(name)
        endpoints = [(node.addresses[name], node.name) for node, name in zip(made.nodes, "ab", strict=True)]
        web = {"type": "NodePort", "clusterIP": WEB, "ports": [{"name": "http", "port": 80, "nodePort": 30080}]}
        near = {
            "type": "NodePort",
            "clusterIP": NEAR,
            "internalTrafficPolicy": "Local",
            "externalTrafficPolicy": "Local",
            "ports": [{"name": "http", "port": 80, "nodePort": 30081}],
        }
        for name, spec in (("web", web), ("near", near)):
            made.create("v1", "Service", {"metadata": {"namespace": "default", "name": name}, "spec": spec})
            made.create("discovery.k8s.io/v1", "EndpointSlice", endpoint_slice(name, *endpoints))
        for node in made.nodes:
            pod = next(iter(node.pods.values()))
            eventually(lambda pod=pod: pod.ask(NEAR, 80))
            eventually(lambda pod=pod: lookup(pod, "near.default.svc.cluster.local") == [NEAR])
            for other in made.nodes:
                address = next(iter(other.addresses.values()))
                eventually(lambda pod=pod, address=address: pod.ask(address, 8080))
            eventually(lambda node=node: node.namespace.ask("127.0.0.1", 30080))
        yield made
    finally:
        made.close()


def test_pods_reach_each_other_across_nodes_with_their_own_addresses(nodes: Nodes) -> None:
    one, two = nodes.nodes
    assert one.pods["a"].ask(two.addresses["b"], 8080) == ("b", one.addresses["a"])
    assert two.pods["b"].ask(one.addresses["a"], 8080) == ("a", two.addresses["b"])
    assert one.namespace.ask(two.addresses["b"], 8080)[0] == "b"


def test_a_service_spreads_over_both_nodes(nodes: Nodes) -> None:
    one, two = nodes.nodes
    for pod in (one.pods["a"], two.pods["b"]):
        assert {pod.ask(WEB, 80)[0] for _ in range(40)} == {"a", "b"}
    for node in nodes.nodes:
        assert {nodes.outside.ask(node.ip, 30080)[0] for _ in range(40)} == {"a", "b"}
        assert {node.namespace.ask("127.0.0.1", 30080)[0] for _ in range(40)} == {"a", "b"}


def test_local_policies_stay_on_the_node_and_keep_the_clients_address(nodes: Nodes) -> None:
    for node, name in zip(nodes.nodes, "ab", strict=True):
        assert {node.pods[name].ask(NEAR, 80)[0] for _ in range(10)} == {name}
        assert {nodes.outside.ask(node.ip, 30081) for _ in range(10)} == {(name, OUTSIDE_IP)}
    assert nodes.first.ip == NODE_IP


def test_names_resolve_on_each_node_while_the_other_nodes_server_is_away(nodes: Nodes) -> None:
    one, two = nodes.nodes
    two.kill("network")
    assert lookup(one.pods["a"], "web.default.svc.cluster.local") == [WEB]
    assert one.pods["a"].ask(two.addresses["b"], 8080)[0] == "b", "routes stay"
    two.start("network", *two.arguments["network"])
    eventually(lambda: lookup(two.pods["b"], "web.default.svc.cluster.local") == [WEB])
