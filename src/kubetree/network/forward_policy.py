"""Lets pods' packets through a firewall that drops what it does not know: Docker and ufw set iptables' FORWARD policy to DROP.

Pods' packets are forwarded, all of them, so on such a machine nothing would reach anything. Two rules for the pod range at the
head of the chain are what flannel and kube-proxy's iptables mode add there too. Written through nf_tables, in the form that
iptables itself writes and reads. Pure: listings in, commands out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

COMMENT = "kubetree: pods"
CHAIN = "FORWARD"
TABLE = "filter"


def listing_command(version: int) -> str:
    return f"list chain {_family(version)} {TABLE} {CHAIN}"


def additions(listing: str, cidrs: Sequence[str], version: int) -> str:
    """The commands that let `cidrs` through, given the chain's JSON listing; "" when the policy is accept or they are there."""
    ip = _family(version)
    if not any(entry.get("chain", {}).get("policy") == "drop" for entry in _entries(listing)):
        return ""
    present = {_match(rule) for rule in _own_rules(listing)}
    wanted = [(field, cidr) for cidr in cidrs for field in ("saddr", "daddr") if (field, cidr) not in present]
    return "".join(f'insert rule {ip} {TABLE} {CHAIN} {ip} {field} {cidr} counter accept comment "{COMMENT}"\n' for field, cidr in wanted)


def removals(listing: str, version: int) -> str:
    """The commands that take our rules out of the chain again."""
    return "".join(f"delete rule {_family(version)} {TABLE} {CHAIN} handle {rule['handle']}\n" for rule in _own_rules(listing))


def other_dropping_chains(listing: str) -> list[str]:
    """The chains of other firewalls that drop forwarded packets by default, given the JSON listing of all chains.

    Nobody may add rules to them but who wrote them: their owner is told."""
    chains = [entry["chain"] for entry in _entries(listing) if "chain" in entry]
    dropping = [c for c in chains if c.get("hook") == "forward" and c.get("policy") == "drop" and c["family"] in ("ip", "ip6", "inet")]
    return [f"{c['family']} {c['table']} {c['name']}" for c in dropping if (c["table"], c["name"]) != (TABLE, CHAIN)]


def _family(version: int) -> str:
    return "ip" if version == 4 else "ip6"


def _entries(listing: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = orjson.loads(listing)["nftables"]
    return entries


def _own_rules(listing: str) -> Iterator[dict[str, Any]]:
    for entry in _entries(listing):
        if entry.get("rule", {}).get("comment") == COMMENT:
            yield entry["rule"]


def _match(rule: dict[str, Any]) -> tuple[str, str]:
    """("saddr", "10.244.0.0/16") of one of our rules."""
    match = rule["expr"][0]["match"]
    prefix = match["right"]["prefix"]
    return match["left"]["payload"]["field"], f"{prefix['addr']}/{prefix['len']}"
