"""Puts reservations right after a crash: every address and port of a Service is reserved, and nothing else stays so.

Follows pkg/registry/core/service/ipallocator/controller and portallocator/controller. What is missing is reserved at once. What
seems to belong to nobody may be a Service that another API server is just writing: addresses are freed when they are older than a
request can last, ports when three rounds have found them so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from kubetree.api.errors import AlreadyExists, ApiError, NotFound
from kubetree.api.kind_table import kind
from kubetree.api.services import needs_cluster_ip, needs_health_check_node_port
from kubetree.apiserver.allocators.cluster_ips import CONTROLLER, IP_ADDRESS, MANAGED_BY, ip_address_object
from kubetree.apiserver.allocators.node_ports import NodePorts, PortSet
from kubetree.apiserver.allocators.service_fields import is_headless, node_ports
from kubetree.apiserver.registry import Writer
from kubetree.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)
SERVICE = kind("v1", "Service")
INTERVAL = 180.0
"""Seconds between two rounds."""
GRACE = 60.0
"""Seconds that an address may wait for its Service: a request's time."""
_ROUNDS = 3

Object = dict[str, Any]


class Repair:
    """`clock` gives the time, UTC."""

    def __init__(self, ports: NodePorts, writer: Writer, clock: Callable[[], datetime]) -> None:
        self._ports, self._writer, self._clock = ports, writer, clock
        self._leaks: dict[int, int] = {}

    async def run(self) -> None:
        """Repairs at once, then every INTERVAL until cancelled."""
        while True:
            try:
                await self.once()
            except (ApiError, StoreUnavailable) as error:
                log.warning("repair of cluster IPs and node ports put off: %s", error)
            await asyncio.sleep(INTERVAL)

    async def once(self) -> None:
        services = await self._writer.list(SERVICE)
        await self._repair_addresses(services)
        used = {port for service in services for port in _ports_of(service)}
        await self._ports.change(lambda ports: self._repair_ports(ports, used))

    async def _repair_addresses(self, services: Iterable[Object]) -> None:
        reserved = {obj["metadata"]["name"]: obj for obj in await self._writer.list(IP_ADDRESS)}
        wanted = {address: service for service in services for address in _addresses_of(service)}
        for address, service in wanted.items():
            standing = reserved.get(address)
            if standing is not None and _refers(standing, service):
                continue
            if standing is not None:
                with suppress(NotFound):
                    await self._writer.delete(IP_ADDRESS, "", address, uid=standing["metadata"]["uid"])
            with suppress(AlreadyExists):
                await self._writer.create(IP_ADDRESS, ip_address_object(service, address))
        now = self._clock()
        for address, standing in reserved.items():
            labels = standing["metadata"].get("labels") or {}
            if address not in wanted and labels.get(MANAGED_BY) == CONTROLLER and _age(standing, now) > GRACE:
                with suppress(NotFound):
                    await self._writer.delete(IP_ADDRESS, "", address, uid=standing["metadata"]["uid"])

    def _repair_ports(self, ports: PortSet, used: set[int]) -> None:
        leaked = ports.used - used
        self._leaks = {port: self._leaks.get(port, 0) + 1 for port in leaked}
        ports.used -= {port for port, rounds in self._leaks.items() if rounds > _ROUNDS}
        ports.used |= {port for port in used if ports.low <= port <= ports.high}


def _addresses_of(service: Object) -> list[str]:
    spec = service["spec"]
    if not needs_cluster_ip(spec) or is_headless(spec):
        return []
    return [str(ip_address(address)) for address in spec.get("clusterIPs") or ()]


def _ports_of(service: Object) -> list[int]:
    spec = service["spec"]
    ports = node_ports(spec)
    if needs_health_check_node_port(spec) and spec.get("healthCheckNodePort"):
        ports.append(spec["healthCheckNodePort"])
    return ports


def _refers(address: Object, service: Object) -> bool:
    """Whether the address is this Service's, or another's that stands: then it is a duplicate that only its owner can end."""
    parent = address["spec"]["parentRef"]
    metadata = service["metadata"]
    if parent.get("group", "") or parent.get("resource") != "services":
        return False
    return (parent.get("namespace"), parent.get("name")) == (metadata["namespace"], metadata["name"])


def _age(obj: Object, now: datetime) -> float:
    return (now - datetime.fromisoformat(obj["metadata"]["creationTimestamp"])).total_seconds()
