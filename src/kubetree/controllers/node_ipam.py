"""Gives each node its range of pod addresses: the next free subnet of --cluster-cidr, for each address family.

Follows upstream's range allocator. The ranges that were given stand in the nodes; what was given a moment ago is remembered here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.controllers.options import Options
from kubetree.controllers.plan import NOTHING, Event, Outcome, Patch, Plan, RequeueAfter, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]
Network = IPv4Network | IPv6Network

NODE = kind("v1", "Node")
RETRY = 30.0

WATCHES = {NODE: own_key}


@dataclass(slots=True)
class Range:
    """A cluster range cut into subnets of `mask` bits. `reserved` are never given: the services' addresses."""

    network: Network
    mask: int
    reserved: Sequence[Network] = ()
    given: dict[Network, str] = field(default_factory=dict)
    _next: int = 0

    def take(self, node: str) -> Network | None:
        """A free subnet, going round so that one just given back is not given again at once; None when all are taken."""
        size = 1 << (self.network.max_prefixlen - self.mask)
        count = 1 << (self.mask - self.network.prefixlen)
        base = int(self.network.network_address)
        for offset in range(count):
            index = (self._next + offset) % count
            subnet = ip_network((base + index * size, self.mask))
            if subnet not in self.given and not any(_overlap(subnet, r) for r in self.reserved):
                self._next = index + 1
                self.given[subnet] = node
                return subnet
        return None

    def occupy(self, subnet: Network, node: str) -> None:
        self.given[subnet] = node

    def release(self, node: str) -> None:
        for subnet in [s for s, owner in self.given.items() if owner == node]:
            del self.given[subnet]


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


@dataclass(slots=True)
class NodeIPAM:
    """Remembers which ranges are taken between passes."""

    ranges: list[Range]
    _started: bool = False

    def reconcile(self, snapshot: Snapshot, key: Key, _: datetime) -> Plan:
        if not self._started:
            for standing in snapshot.list(NODE):
                self._occupy(standing)
            self._started = True
        node = snapshot.get(NODE, "", key[1])
        if node is None:
            for each in self.ranges:
                each.release(key[1])
            return NOTHING
        if node["spec"].get("podCIDR"):
            self._occupy(node)
            return NOTHING
        taken = [each.take(key[1]) for each in self.ranges]
        if None in taken:
            for each in self.ranges:
                each.release(key[1])
            reference = {"apiVersion": "v1", "kind": "Node", "name": key[1], "uid": node["metadata"]["uid"]}
            message = f"Node {key[1]} status is now: CIDRNotAvailable"
            return plan(Event(reference, "Normal", "CIDRNotAvailable", message), RequeueAfter(RETRY))
        subnets = [str(subnet) for subnet in taken]
        patch = {"spec": {"podCIDR": subnets[0], "podCIDRs": subnets}}
        return plan(Patch(NODE, "", key[1], patch, ignore=frozenset({"NotFound"})), then=lambda o: self._written(key[1], o))

    def _written(self, node: str, outcome: Outcome) -> Plan:
        """A range that could not be written is free again."""
        if outcome.errors:
            for each in self.ranges:
                each.release(node)
        return NOTHING

    def _occupy(self, node: Object) -> None:
        for text in node["spec"].get("podCIDRs") or ([node["spec"]["podCIDR"]] if node["spec"].get("podCIDR") else ()):
            subnet = ip_network(text, strict=False)
            for each in self.ranges:
                if _overlap(subnet, each.network):
                    each.occupy(subnet, node["metadata"]["name"])


def _ranges(options: Options) -> Iterator[Range]:
    reserved = [ip_network(text) for text in options.service_cluster_ip_range]
    for text in options.cluster_cidr:
        network = ip_network(text)
        mask = options.node_cidr_mask_size_ipv4 if network.version == 4 else options.node_cidr_mask_size_ipv6
        if mask < network.prefixlen:
            raise ValueError(f"--node-cidr-mask-size {mask} is larger than the cluster range {text}")
        yield Range(network, mask, reserved)


def duty(options: Options) -> Duty:
    """Raises ValueError for ranges that cannot be."""
    ipam = NodeIPAM(list(_ranges(options)))
    return Duty("node-ipam-controller", "cidrAllocator", WATCHES, ipam.reconcile, account="node-controller")
