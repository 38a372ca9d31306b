"""From changes to transactions, and what the applier does when the kernel says no."""

from __future__ import annotations

import pytest

from kubetree.kernel.nftables import NftablesError
from kubetree.proxy.applier import Applier, change_text, full_text, remembered_clients
from kubetree.proxy.ledger import Changes, Ledger
from kubetree.proxy.render import Tables
from kubetree.proxy.table import IPV4, IPV6, Chain, Settings, definition

SETTINGS = Settings(("10.244.0.0/16",), ("10.96.0.0/16",))


class Kernel:
    """Remembers transactions; refuses those that `refuses` says yes to."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.refuses = lambda text: False

    def run(self, text: str, *, json: bool = False) -> str:
        if text.startswith("list"):
            raise NftablesError("no such map")
        if self.refuses(text):
            raise NftablesError("No such file or directory")
        self.ran.append(text)
        return ""


def applier() -> tuple[Kernel, Ledger, Applier]:
    kernel, ledger = Kernel(), Ledger()
    return kernel, ledger, Applier(kernel, IPV4, SETTINGS, ledger)


def tables(**elements: str) -> Tables:
    return Tables({("services", key): value for key, value in elements.items()})


def test_a_change_is_chains_then_what_goes_then_what_comes() -> None:
    chain = Chain("pick-2", ("rule one", "rule two"))
    changes = Changes({"pick-2": chain}, frozenset({("services", "a")}), {("services", "a"): "goto pick-2", ("hairpin", "b"): ""})
    assert change_text(IPV4, changes).splitlines() == [
        "add chain ip kubetree-proxy pick-2",
        "add rule ip kubetree-proxy pick-2 rule one",
        "add rule ip kubetree-proxy pick-2 rule two",
        "delete element ip kubetree-proxy services { a }",
        "add element ip kubetree-proxy services { a : goto pick-2 }",
        "add element ip kubetree-proxy hairpin { b }",
    ]


def test_the_first_writing_replaces_the_table_and_later_ones_change_it() -> None:
    kernel, ledger, made = applier()
    ledger.put(("n", "a"), tables(a="drop"))
    assert made.apply() == 1
    assert kernel.ran == [full_text(IPV4, SETTINGS, {("services", "a"): "drop"}, {})]
    assert made.apply() == 0
    ledger.put(("n", "b"), tables(b="drop"))
    made.apply()
    assert kernel.ran[1:] == ["add element ip kubetree-proxy services { b : drop }\n"]


def test_a_refused_change_leads_to_the_whole_table() -> None:
    kernel, ledger, made = applier()
    made.apply()
    kernel.refuses = lambda text: not text.startswith("add table")
    ledger.put(("n", "a"), tables(a="drop"))
    made.apply()
    assert kernel.ran[-1] == full_text(IPV4, SETTINGS, {("services", "a"): "drop"}, {})


def test_a_refused_table_is_tried_again() -> None:
    kernel, ledger, made = applier()
    kernel.refuses = lambda text: True
    ledger.put(("n", "a"), tables(a="drop"))
    with pytest.raises(NftablesError):
        made.apply()
    kernel.refuses = lambda text: False
    made.apply()
    assert "services { a : drop }" in kernel.ran[-1]


def test_remembered_clients_are_carried_over() -> None:
    listing = (
        '{"nftables": [{"metainfo": {}}, {"map": {"name": "ip-clients", "elem": ['
        '[{"elem": {"val": {"concat": ["10.0.0.1", "10.96.0.2", "tcp", 80]}, "timeout": 90, "expires": 12}}, "1ab:22"]]}}]}'
    )
    assert remembered_clients(listing) == ["10.0.0.1 . 10.96.0.2 . tcp . 80 timeout 90s expires 12s : 1ab:22"]


def test_the_fixed_part_of_each_family() -> None:
    four = definition(IPV4, SETTINGS)
    assert "ip saddr != { 10.244.0.0/16 } masquerade fully-random" in four
    assert "ip daddr { 10.96.0.0/16 } fib daddr type != local drop" in four
    assert "ip daddr @node-port-ips" in four
    everywhere = definition(IPV6, Settings(node_ports_everywhere=True, masquerade_all=True))
    assert "ip6 daddr != ::1 fib daddr type local" in everywhere
    assert "ip daddr" not in everywhere
