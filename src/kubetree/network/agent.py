"""The node's part of the pod network: CNI configuration, routes to other nodes' pods, host ports, masquerading.

Follows the Nodes and this node's pods, and makes the kernel and the CNI directory equal to what they say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.client import Client, Informer
from kubetree.kernel.conntrack import delete_udp_flows
from kubetree.kernel.nftables import Nftables, NftablesError
from kubetree.kernel.routes import RouteError, link_mtu, link_of, own_addresses
from kubetree.kernel.sysctls import SysctlError, ensure
from kubetree.kernel.table_monitor import TableMonitor
from kubetree.network import forward_policy
from kubetree.network.cni import conflist, write_conflist
from kubetree.network.node_routes import NodeRoutes, internal_ips, plan, pod_cidrs
from kubetree.network.table import TABLE, HostPort, host_ports, render

log = logging.getLogger("kubetree.network")
Object = dict[str, Any]

RETRY = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """`cluster_cidrs` are the pod ranges of the cluster. host-local keeps its addresses below `cni_state_directory`."""

    node_name: str
    cluster_cidrs: tuple[str, ...]
    cni_conf_directory: Path
    cni_state_directory: Path

    @property
    def versions(self) -> list[int]:
        return sorted({6 if ":" in cidr else 4 for cidr in self.cluster_cidrs})

    def of_version(self, version: int) -> tuple[str, ...]:
        return tuple(c for c in self.cluster_cidrs if (":" in c) == (version == 6))


class Agent:
    """`run()` belongs in a TaskGroup."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._settings = settings
        self._nodes = Informer(client, kind("v1", "Node"), transform=_what_matters_of_a_node)
        self._pods = Informer(
            client, kind("v1", "Pod"), field_selector=f"spec.nodeName={settings.node_name}", transform=_what_matters_of_a_pod
        )
        self._wake = asyncio.Event()
        self._nft = Nftables()
        self._routes = NodeRoutes()
        self._written: dict[int, str] = {}
        self._configured: tuple[Sequence[str], Sequence[str]] | None = None

    async def run(self) -> None:
        for informer in (self._nodes, self._pods):
            informer.on_change(self._changed)
        for chain in forward_policy.other_dropping_chains(self._nft.run("list chains", json=True)):
            ranges = ", ".join(self._settings.cluster_cidrs)
            log.warning("the nftables chain %s drops forwarded packets by default; let %s through, or pods reach nothing", chain, ranges)
        monitor = TableMonitor(
            self._nft, {(ip, table) for ip in ("ip", "ip6") for table in (TABLE, forward_policy.TABLE)}, self._table_changed
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._nodes.run())
            tasks.create_task(self._pods.run())
            tasks.create_task(monitor.run())
            self._wake.set()
            await self._follow()

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or _without_version(old) != _without_version(new):
            self._wake.set()

    def _table_changed(self, table: tuple[str, str]) -> None:
        if table[1] == TABLE and self._written:
            log.warning("somebody else changed the table %s; writing it again", TABLE)
            self._written.clear()
        self._wake.set()

    async def _follow(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await asyncio.to_thread(self._make, self._nodes.list(), self._pods.list())
            except (NftablesError, RouteError, SysctlError, OSError) as error:
                log.error("the node's network is not as it should be, trying again: %s", error)
                await asyncio.sleep(RETRY)
                self._wake.set()

    def _make(self, nodes: Sequence[Object], pods: Sequence[Object]) -> None:
        """Everything anew, cheap where nothing changed."""
        for version in self._settings.versions:
            ports = host_ports(pods, version)
            text = render(ports, self._settings.of_version(version), version)
            if self._written.get(version) != text:
                self._nft.run(text)
                self._written[version] = text
                _answer_on_loopback(ports)
                _end_stale_flows(ports, version)
            self._let_pods_through(version)
        if self._nodes.has_synced:
            self._routes.follow(plan(nodes, self._settings.node_name))
        own = next((node for node in nodes if node["metadata"]["name"] == self._settings.node_name), None)
        if own is not None and (cidrs := pod_cidrs(own)):
            self._configure_cni(cidrs, internal_ips(own))

    def _let_pods_through(self, version: int) -> None:
        cidrs = self._settings.of_version(version)
        try:
            listing = self._nft.run(forward_policy.listing_command(version), json=True) if cidrs else ""
        except NftablesError:
            return
        if listing and (commands := forward_policy.additions(listing, cidrs, version)):
            self._nft.run(commands)
            log.info("iptables' FORWARD policy is DROP: let %s through", ", ".join(cidrs))

    def _configure_cni(self, cidrs: Sequence[str], ips: Sequence[str]) -> None:
        if (cidrs, ips) == self._configured:
            return
        mtu = link_mtu(ips[0]) if ips else 1500
        state = self._settings.cni_state_directory / self._settings.node_name
        if write_conflist(self._settings.cni_conf_directory, conflist(cidrs, mtu=mtu, state_directory=str(state))):
            log.info("pods of this node get addresses of %s", ", ".join(cidrs))
        self._configured = (cidrs, ips)


def _answer_on_loopback(ports: Sequence[HostPort]) -> None:
    """Lets host ports answer on 127.0.0.1 too: their pods' links must take packets from there. IPv6 has no such thing."""
    for address in {port.pod_ip for port in ports if ":" not in port.pod_ip}:
        if link := link_of(address):
            ensure({f"net/ipv4/conf/{link}/route_localnet": 1})


def _end_stale_flows(ports: Sequence[HostPort], version: int) -> None:
    """UDP clients of host ports let go of pods that are gone."""
    leads_to: dict[int, set[tuple[str, int]]] = {}
    for port in ports:
        if port.protocol == "udp":
            leads_to.setdefault(port.port, set()).add((port.pod_ip, port.container_port))
    if leads_to:
        here = set(own_addresses())
        delete_udp_flows(
            lambda f: f.destination[0] in here and f.destination[1] in leads_to and f.answering not in leads_to[f.destination[1]], version
        )


def _without_version(obj: Object) -> Object:
    return {field: value for field, value in obj.items() if field != "metadata"}


def _what_matters_of_a_node(node: Object) -> Object:
    metadata, spec = node["metadata"], node.get("spec", {})
    return {
        "metadata": {"name": metadata["name"], "resourceVersion": metadata["resourceVersion"]},
        "spec": {"podCIDR": spec.get("podCIDR", ""), "podCIDRs": spec.get("podCIDRs") or []},
        "status": {"addresses": node.get("status", {}).get("addresses") or []},
    }


def _what_matters_of_a_pod(pod: Object) -> Object:
    metadata, spec, status = pod["metadata"], pod.get("spec", {}), pod.get("status", {})
    return {
        "metadata": {"namespace": metadata["namespace"], "name": metadata["name"], "resourceVersion": metadata["resourceVersion"]},
        "spec": {
            "hostNetwork": spec.get("hostNetwork", False),
            "initContainers": [{"ports": c.get("ports") or []} for c in spec.get("initContainers") or ()],
            "containers": [{"ports": c.get("ports") or []} for c in spec.get("containers") or ()],
        },
        "status": {"podIPs": status.get("podIPs") or [], "phase": status.get("phase", "")},
    }
