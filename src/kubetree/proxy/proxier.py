"""From the API's events to the kernel: follows Services, EndpointSlices and the node, and keeps the tables equal to them.

An event renders its one service anew; what came in together is written together. Nothing is polled.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.times import parse_time
from kubetree.client import Client, Informer
from kubetree.kernel.conntrack import delete_udp_flows
from kubetree.kernel.nftables import Nftables, NftablesError
from kubetree.kernel.routes import RouteError, own_addresses, sink_routes
from kubetree.kernel.table_monitor import TableMonitor
from kubetree.proxy.applier import Applier
from kubetree.proxy.ledger import NODE, Ledger, Owner
from kubetree.proxy.metrics import Metrics
from kubetree.proxy.render import Node, render_node, render_service
from kubetree.proxy.services import (
    HEADLESS_LABEL,
    PROXY_NAME_LABEL,
    SERVICE_NAME_LABEL,
    what_matters_of_a_service,
    what_matters_of_a_slice,
)
from kubetree.proxy.stale_flows import udp_frontends
from kubetree.proxy.table import FAMILIES, TABLE, Family, Settings

log = logging.getLogger("kubetree.proxy")
Object = dict[str, Any]

ZONE_LABEL = "topology.kubernetes.io/zone"
SINK = "kubetree-svc"
"""The link that the service ranges lead to."""
RETRY = 1.0
"""Seconds before a refused transaction is tried again, and at least between two answers to somebody else's changes."""


@dataclass(slots=True)
class Status:
    """What the health endpoints tell. Times are seconds of the epoch."""

    synced: bool = False
    queued_at: float = 0.0
    updated_at: float = 0.0
    node_eligible: bool = True
    local_endpoints: Mapping[Owner, int] = field(default_factory=dict)
    """Ready endpoints on this node, of services that have a health check port."""


@dataclass(slots=True)
class _Half:
    """One address family's share of the work."""

    family: Family
    settings: Settings
    node: Node
    ledger: Ledger
    applier: Applier


class Proxier:
    """`run()` belongs in a TaskGroup. `settings` holds the ranges of one family or both: a family without one is left alone.
    NodePorts answer on the node's own addresses, or on all the machine's in `node_port_ranges`. `clock` gives seconds of the epoch."""

    def __init__(
        self,
        client: Client,
        node_name: str,
        settings: Settings,
        node_port_ranges: Sequence[str],
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        services, slices = f"!{PROXY_NAME_LABEL}", f"!{PROXY_NAME_LABEL},!{HEADLESS_LABEL}"
        self._services = Informer(client, kind("v1", "Service"), label_selector=services, transform=what_matters_of_a_service)
        self._slices = Informer(
            client, kind("discovery.k8s.io/v1", "EndpointSlice"), label_selector=slices, transform=what_matters_of_a_slice
        )
        self._node = Informer(client, kind("v1", "Node"), field_selector=f"metadata.name={node_name}")
        self._slices.add_index("service", lambda s: ["/".join(_service_of(s))])
        self._node_name, self._node_port_ranges = node_name, node_port_ranges
        self._service_cidrs, self._metrics, self._clock = settings.service_cidrs, metrics, clock
        self._nft = Nftables()
        self._halves = [self._half(family, settings) for family in families_of(settings)]
        self._dirty: set[Owner] = set()
        self._triggers: list[float] = []
        self._wake = asyncio.Event()
        self.status = Status()
        self.on_synced: Callable[[], None] = lambda: None
        self._node_ips: Sequence[str] = ()
        self._replaced_at = 0.0
        self._routed_from: Sequence[str] | None = None

    def _half(self, family: Family, settings: Settings) -> _Half:
        cluster, service = _of(family, settings.cluster_cidrs), _of(family, settings.service_cidrs)
        own, ledger = replace(settings, cluster_cidrs=cluster, service_cidrs=service), Ledger()
        return _Half(family, own, Node(self._node_name), ledger, Applier(self._nft, family, own, ledger))

    async def run(self) -> None:
        """Follows the API until cancelled. The tables stay when it ends: connections go on, as with upstream's proxy.

        Raises RouteError when the service ranges cannot be routed.
        """
        await self._lead_services()
        self._services.on_change(lambda old, new: self._touch(_name(new or old)))
        self._slices.on_change(self._slice_changed)
        self._node.on_change(lambda _, new: self._node_changed(new))
        monitor = TableMonitor(self._nft, {(half.family.ip, TABLE) for half in self._halves}, self._tables_changed)
        async with asyncio.TaskGroup() as tasks:
            for informer in (self._node, self._services, self._slices):
                tasks.create_task(informer.run())
            tasks.create_task(monitor.run())
            await self._services.synced()
            await self._slices.synced()
            await self._node.synced()
            self._wake.set()
            await self._follow()

    # -- what happened

    def _touch(self, owner: Owner) -> None:
        if not self._dirty and self.status.synced:
            self.status.queued_at = self._clock()
        self._dirty.add(owner)
        self._wake.set()

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        for slice_ in (old, new):
            if slice_ is not None:
                self._touch(_service_of(slice_))
        if self.status.synced and new is not None and new["triggered"] and (old is None or old["triggered"] != new["triggered"]):
            with contextlib.suppress(ValueError):
                self._triggers.append(parse_time(new["triggered"]).timestamp())

    def _node_changed(self, node: Object | None) -> None:
        if node is None:
            self.status.node_eligible = False
            return
        metadata = node["metadata"]
        taints = node.get("spec", {}).get("taints") or ()
        self.status.node_eligible = not any(t["key"] == "ToBeDeletedByClusterAutoscaler" for t in taints)
        addresses = [a["address"] for a in node.get("status", {}).get("addresses") or () if a["type"] == "InternalIP"]
        self._node_ips = addresses
        chosen: Sequence[str] = addresses
        if self._node_port_ranges:
            chosen = addresses_in(own_addresses(), self._node_port_ranges)
        zone = (metadata.get("labels") or {}).get(ZONE_LABEL, "")
        for half in self._halves:
            before, after = half.node, Node(self._node_name, zone, _of(half.family, addresses), _of(half.family, chosen))
            if after == before:
                continue
            half.node = after
            self._touch(NODE)
            if (after.zone, after.ips) != (before.zone, before.ips):
                self._dirty.update(_name(service) for service in self._services.list())

    def _tables_changed(self, table: tuple[str, str]) -> None:
        applier = next(half.applier for half in self._halves if half.family.ip == table[0])
        if applier.replaces_next:
            return
        log.warning("somebody else changed the table %s %s; writing it again", *table)
        applier.replace_next()
        wait = self._replaced_at + RETRY - self._clock()
        asyncio.get_running_loop().call_later(min(RETRY, max(0.0, wait)), self._wake.set)

    # -- what to do about it

    async def _follow(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            replacing = any(half.applier.replaces_next for half in self._halves)
            dirty, self._dirty = self._dirty, set()
            triggers, self._triggers = self._triggers, []
            for owner in dirty:
                self._render(owner)
            try:
                await self._lead_services()
                with self._metrics.sync.time():
                    written = await self._write()
            except (NftablesError, RouteError) as error:
                self._metrics.failures.inc()
                log.error("the kernel refuses the services' table or routes: %s", error)
                self._dirty |= dirty
                self._triggers += triggers
                await asyncio.sleep(RETRY)
                self._wake.set()
                continue
            await self._end_stale_flows(None if replacing else dirty)
            self._note_health(dirty)
            self.status.updated_at = self._clock()
            self._metrics.last_sync.set(self.status.updated_at)
            for triggered in triggers:
                self._metrics.programming.observe(max(0.0, self.status.updated_at - triggered))
            if replacing:
                self._replaced_at = self._clock()
                self._metrics.full_syncs.inc()
            if not self.status.synced:
                self.status.synced = True
                log.info("synced: %d services, %d elements", len(self._services), written)
            self.on_synced()

    async def _lead_services(self) -> None:
        """A route for the service ranges, before any rule: what no rule redirects must end on this machine."""
        if self._service_cidrs and self._routed_from != self._node_ips:
            await asyncio.to_thread(sink_routes, SINK, self._service_cidrs, self._node_ips)
            self._routed_from = self._node_ips

    def _render(self, owner: Owner) -> None:
        for half in self._halves:
            if owner == NODE:
                half.ledger.put(NODE, render_node(half.node))
                continue
            service = self._services.get(*owner)
            tables = render_service(service or _NOTHING, self._slices_of(owner), half.node, half.family, half.settings)
            half.ledger.put(owner, tables)

    async def _write(self) -> int:
        """A change is quicker than a thread; a whole table takes long enough to let others go on meanwhile."""
        written = 0
        for half in self._halves:
            if half.applier.replaces_next:
                written += await asyncio.to_thread(half.applier.apply)
            else:
                written += half.applier.apply()
        return written

    async def _end_stale_flows(self, owners: Iterable[Owner] | None) -> None:
        """Ends the flows of these services (all of them when None) that lead to endpoints which are gone."""
        services = self._services.list() if owners is None else [s for o in owners if (s := self._services.get(*o))]
        pairs = [(service, self._slices_of(_name(service))) for service in services]
        for half in self._halves:
            version = half.family.version
            frontends = udp_frontends(pairs, version)
            if frontends:
                try:
                    if count := await asyncio.to_thread(delete_udp_flows, frontends.stale, version):
                        self._metrics.stale_flows.inc(count)
                        log.info("ended %d UDP flows to endpoints that are gone", count)
                except OSError as error:
                    log.error("UDP flows to endpoints that are gone may go on until they are idle: %s", error)

    def _note_health(self, owners: Iterable[Owner]) -> None:
        counts = dict(self.status.local_endpoints)
        for owner in owners:
            counts.pop(owner, None)
            service = self._services.get(*owner)
            if service and service["spec"].get("healthCheckNodePort"):
                counts[owner] = _ready_on(self._node_name, self._slices_of(owner))
        self.status.local_endpoints = counts

    def health_check_ports(self) -> Mapping[int, Owner]:
        """The services that want to be asked on a port of their own whether this node has endpoints."""
        found = ((owner, self._services.get(*owner)) for owner in self.status.local_endpoints)
        return {service["spec"]["healthCheckNodePort"]: owner for owner, service in found if service}

    def _slices_of(self, owner: Owner) -> Sequence[Object]:
        return self._slices.by_index("service", "/".join(owner))


_NOTHING: Object = {"metadata": {}, "spec": {}}
"""A service that is not there: it renders to no elements."""


def addresses_in(addresses: Iterable[str], ranges: Iterable[str]) -> Sequence[str]:
    """The addresses that lie in one of the ranges, as --nodeport-addresses chooses them. Pure."""
    networks = [ipaddress.ip_network(r) for r in ranges]
    return [a for a in addresses if any(ipaddress.ip_address(a) in network for network in networks)]


def families_of(settings: Settings) -> Sequence[Family]:
    """The families that the cluster's ranges are of; IPv4 when there are none. Pure."""
    versions = {ipaddress.ip_network(cidr).version for cidr in (*settings.cluster_cidrs, *settings.service_cidrs)} or {4}
    return [family for family in FAMILIES if family.version in versions]


def _name(obj: Object | None) -> Owner:
    metadata = (obj or {}).get("metadata", {})
    return metadata.get("namespace", ""), metadata.get("name", "")


def _service_of(slice_: Object) -> Owner:
    metadata = slice_["metadata"]
    return metadata.get("namespace", ""), (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL, "")


def _ready_on(node: str, slices: Iterable[Object]) -> int:
    ready = {
        endpoint["addresses"][0]
        for slice_ in slices
        for endpoint in slice_.get("endpoints") or ()
        if endpoint.get("nodeName") == node and (endpoint.get("conditions") or {}).get("ready") is not False
    }
    return len(ready)


def _of(family: Family, addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(a for a in addresses if (":" in a) == (family.version == 6))
