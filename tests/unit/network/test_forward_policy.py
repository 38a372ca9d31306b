"""Rules in iptables' FORWARD chain, only where its policy would drop pods' packets."""

from __future__ import annotations

import json

from kubetree.network.forward_policy import additions, other_dropping_chains, removals


def listing(policy: str, *rules: dict[str, object]) -> str:
    chain = {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": policy}
    return json.dumps({"nftables": [{"metainfo": {}}, {"chain": chain}, *({"rule": rule} for rule in rules)]})


def rule(handle: int, field: str, comment: str = "kubetree: pods") -> dict[str, object]:
    left, right = {"payload": {"protocol": "ip", "field": field}}, {"prefix": {"addr": "10.244.0.0", "len": 16}}
    return {"handle": handle, "comment": comment, "expr": [{"match": {"op": "==", "left": left, "right": right}}, {"accept": None}]}


def test_a_chain_that_accepts_is_left_alone() -> None:
    assert additions(listing("accept"), ["10.244.0.0/16"], 4) == ""


def test_a_chain_that_drops_lets_pods_through_both_ways_once() -> None:
    assert additions(listing("drop"), ["10.244.0.0/16"], 4).splitlines() == [
        'insert rule ip filter FORWARD ip saddr 10.244.0.0/16 counter accept comment "kubetree: pods"',
        'insert rule ip filter FORWARD ip daddr 10.244.0.0/16 counter accept comment "kubetree: pods"',
    ]
    assert additions(listing("drop", rule(3, "saddr")), ["10.244.0.0/16"], 4).count("insert") == 1
    assert additions(listing("drop", rule(3, "saddr"), rule(4, "daddr")), ["10.244.0.0/16"], 4) == ""


def test_only_our_rules_are_removed() -> None:
    assert removals(listing("drop", rule(3, "saddr"), rule(5, "daddr", "theirs")), 4) == "delete rule ip filter FORWARD handle 3\n"


def test_other_firewalls_are_named() -> None:
    chains = [
        {"family": "inet", "table": "firewall", "name": "forward", "hook": "forward", "policy": "drop"},
        {"family": "inet", "table": "firewall", "name": "input", "hook": "input", "policy": "drop"},
        {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"},
        {"family": "ip", "table": "kubetree-proxy", "name": "filter-forward", "hook": "forward", "policy": "accept"},
        {"family": "ip", "table": "x", "name": "y"},
    ]
    listing = json.dumps({"nftables": [{"metainfo": {}}, *({"chain": chain} for chain in chains)]})
    assert other_dropping_chains(listing) == ["inet firewall forward"]
