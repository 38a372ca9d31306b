"""Routes and addresses in a network namespace: everything may be done twice, and undone twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubetree.kernel import routes
from node.namespaces import Namespace

pytestmark = pytest.mark.node


@pytest.fixture
def machine() -> Iterator[Namespace]:
    made = Namespace()
    made.ip("link", "add", "eth", "type", "bridge")
    made.ip("link", "set", "eth", "mtu", "1400", "up")
    made.ip("addr", "add", "192.0.2.1/24", "dev", "eth")
    yield made
    made.close()


def test_local_addresses(machine: Namespace) -> None:
    own = ["10.96.0.10", "fd00:20::a"]
    for _ in range(2):
        machine.run(routes.local_addresses, own)
    assert machine.run(routes.link_of, "10.96.0.10") == "lo"
    assert machine.run(routes.own_addresses) == ["10.96.0.10", "fd00:20::a", "192.0.2.1"]
    for _ in range(2):
        machine.run(routes.remove_local_addresses, own)
    assert machine.run(routes.own_addresses) == ["192.0.2.1"]


def test_sinks_and_unreachable_ranges(machine: Namespace) -> None:
    for _ in range(2):
        machine.run(routes.sink_routes, "sink", ["10.96.0.0/16", "fd00:20::/112"], ["203.0.113.1", "192.0.2.1"])
        machine.run(routes.unreachable_routes, ["10.244.0.0/16", "fd00:10::/64"])
    assert "10.96.0.0/16 dev sink proto static scope link src 192.0.2.1" in machine.ip("route")
    assert "fd00:20::/112 dev sink" in machine.ip("-6", "route")
    assert "unreachable 10.244.0.0/16" in machine.ip("route")
    assert machine.run(routes.link_of, "10.244.0.1") == ""
    for _ in range(2):
        machine.run(routes.remove_link, "sink")
        machine.run(routes.remove_unreachable_routes, ["10.244.0.0/16", "fd00:10::/64"])
    assert machine.ip("route").strip() == "192.0.2.0/24 dev eth proto kernel scope link src 192.0.2.1"


def test_the_mtu_of_an_addresss_link(machine: Namespace) -> None:
    assert machine.run(routes.link_mtu, "192.0.2.1") == 1400
    assert machine.run(routes.link_mtu, "203.0.113.1") == 1500


def test_a_route_by_a_gateway_on_no_link_is_refused_with_the_command(machine: Namespace) -> None:
    with pytest.raises(routes.RouteError, match=r"ip -4 route replace 10\.244\.1\.0/24 via 203\.0\.113\.1"):
        machine.run(routes.replace_route, "10.244.1.0/24", "203.0.113.1")
    machine.run(routes.replace_route, "10.244.1.0/24", "192.0.2.2")
    assert machine.run(routes.own_routes) == [("10.244.1.0/24", "192.0.2.2")]
    for _ in range(2):
        machine.run(routes.remove_route, "10.244.1.0/24")
    assert machine.run(routes.own_routes) == []
