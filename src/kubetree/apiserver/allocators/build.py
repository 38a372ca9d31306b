"""Cluster IPs and node ports for an API server: the hook to register and what to run beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random

from kubetree.apiserver.allocators.cluster_ips import ClusterIPs
from kubetree.apiserver.allocators.node_ports import NodePorts
from kubetree.apiserver.allocators.repair import Repair
from kubetree.apiserver.allocators.services import ServiceAllocation
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.metrics.counters import Counters
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.registry import Writer
from kubetree.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Allocators:
    """`hook` belongs in the registry; `repair.run()` runs as long as the server does."""

    hook: ServiceAllocation
    repair: Repair


def build_allocators(
    config: Config, lister: Lister, writer: Writer, store: Store, clock: Callable[[], datetime], counters: Counters | None = None
) -> Allocators:
    """Raises ValueError for ranges that are none."""
    random = Random()
    addresses = ClusterIPs(config.service_cluster_ip_range, lister, writer, random, (counters or Counters()).addresses)
    ports = NodePorts(*config.service_node_port_range, store)
    return Allocators(ServiceAllocation(addresses, ports, writer, random), Repair(ports, writer, clock))
