"""How much of the ranges for cluster IPs and node ports is given away, looked up in the caches when somebody scrapes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from kubetree.api.kind_table import kind
from kubetree.apiserver.allocators.cluster_ips import IP_ADDRESS
from kubetree.apiserver.allocators.repair import SERVICE
from kubetree.apiserver.allocators.service_fields import node_ports
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.metrics.exposition import Sample, family, labelled

_SERVICE_CIDR = kind("networking.k8s.io/v1", "ServiceCIDR")


def allocation_lines(lister: Lister, ports: tuple[int, int]) -> Iterator[str]:
    """`ports` are the first and the last node port."""
    addresses = [ipaddress.ip_address(obj["metadata"]["name"]) for obj in lister.list(IP_ADDRESS)]
    taken: list[Sample] = []
    free: list[Sample] = []
    for text in sorted({cidr for obj in lister.list(_SERVICE_CIDR) for cidr in obj["spec"]["cidrs"]}):
        network = ipaddress.ip_network(text)
        used = sum(address in network for address in addresses)
        usable = network.num_addresses - (2 if network.version == 4 else 1)
        taken.append((labelled(("cidr",), (text,)), used))
        free.append((labelled(("cidr",), (text,)), max(usable - used, 0)))
    prefix = "kube_apiserver_clusterip_allocator"
    yield from family(f"{prefix}_allocated_ips", "gauge", "[ALPHA] Gauge measuring the number of allocated IPs for Services", taken)
    yield from family(f"{prefix}_available_ips", "gauge", "[ALPHA] Gauge measuring the number of available IPs for Services", free)
    given = len({port for service in lister.list(SERVICE) for port in node_ports(service["spec"])})
    prefix = "kube_apiserver_nodeport_allocator"
    yield from family(
        f"{prefix}_allocated_ports", "gauge", "[ALPHA] Gauge measuring the number of allocated NodePorts for Services", [("", given)]
    )
    left = ports[1] - ports[0] + 1 - given
    yield from family(
        f"{prefix}_available_ports", "gauge", "[ALPHA] Gauge measuring the number of available NodePorts for Services", [("", left)]
    )
