"""Cluster IPs: an IPAddress object stands for each address in use, so the store's create decides between two takers.

Follows pkg/registry/core/service/ipallocator (MultiCIDRServiceAllocator): the ranges are those of the ServiceCIDR objects.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from random import Random
from typing import Any

from kubetree.api.errors import AlreadyExists, NotFound
from kubetree.api.kind_table import kind
from kubetree.apiserver.allocators.ip_ranges import Address, IPRange, family_of
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.metrics.exposition import Counter
from kubetree.apiserver.registry import Writer

IP_ADDRESS, SERVICE_CIDR = kind("networking.k8s.io/v1", "IPAddress"), kind("networking.k8s.io/v1", "ServiceCIDR")
MANAGED_BY, FAMILY = "ipaddress.kubernetes.io/managed-by", "ipaddress.kubernetes.io/ip-family"
CONTROLLER = "ipallocator.k8s.io"

Object = dict[str, Any]


class AllocationError(Exception):
    """Why an address or port cannot be had, in upstream's words."""


class Full(AllocationError):
    """No address is left."""

    def __init__(self) -> None:
        super().__init__("range is full")


class ClusterIPs:
    """`configured` are the ranges of --service-cluster-ip-range, the first one's family is the default of Services."""

    def __init__(self, configured: Sequence[str], lister: Lister, writer: Writer, random: Random, counted: Counter | None = None) -> None:
        self._counted = counted
        self._configured = [IPRange.of(cidr) for cidr in configured]
        self._lister, self._writer, self._random = lister, writer, random
        self._generation = -1
        self._ranges: list[IPRange] = []

    @property
    def families(self) -> list[str]:
        """Those that this cluster has, the default first."""
        return list(dict.fromkeys(found.family for found in self._configured))

    async def take(self, service: Object, address: str, *, dry_run: bool) -> str:
        """Reserves the address. Raises AllocationError when it lies in no range or is taken."""
        wanted = ip_address(address)
        mine = [found for found in self.ranges(family_of(wanted)) if wanted in found]
        if not mine:
            raise AllocationError("the provided network does not match the current range")
        if not dry_run:
            await self._create(service, wanted)
            self._count(mine[0], "static")
        return str(wanted)

    async def take_any(self, service: Object, family: str, *, dry_run: bool) -> str:
        """Reserves a free address. Raises Full. A dry run answers a range's first address, as upstream."""
        for found in self.ranges(family):
            if dry_run:
                return str(ipaddress.ip_network(found.cidr).network_address)
            for candidate in found.candidates(self._random):
                if self._lister.get(IP_ADDRESS, "", str(candidate)) is not None:
                    continue
                try:
                    await self._create(service, candidate)
                except AllocationError:
                    continue
                self._count(found, "dynamic")
                return str(candidate)
        raise Full()

    def _count(self, found: IPRange, scope: str) -> None:
        if self._counted is not None:
            self._counted.add(found.cidr, scope)

    async def release(self, addresses: Sequence[str]) -> None:
        """Frees them; what was not taken is left so."""
        for address in addresses:
            try:
                await self._writer.delete(IP_ADDRESS, "", str(ip_address(address)))
            except NotFound:
                continue

    def ranges(self, family: str) -> list[IPRange]:
        """The configured ranges and those of ServiceCIDR objects that are ready and not being deleted."""
        generation = self._lister.generation(SERVICE_CIDR)
        if generation != self._generation:
            cidrs = (cidr for obj in self._lister.list(SERVICE_CIDR) for cidr in _usable(obj))
            self._ranges = list(dict.fromkeys([*self._configured, *(IPRange.of(cidr) for cidr in cidrs)]))
            self._generation = generation
        return [found for found in self._ranges if found.family == family]

    async def _create(self, service: Object, address: Address) -> None:
        try:
            await self._writer.create(IP_ADDRESS, ip_address_object(service, str(address)))
        except AlreadyExists:
            raise AllocationError("provided IP is already allocated") from None


def ip_address_object(service: Object, address: str) -> Object:
    """The object that reserves `address` for the service."""
    metadata = service["metadata"]
    parent = {"resource": "services", "namespace": metadata["namespace"], "name": metadata["name"]}
    return {
        "apiVersion": IP_ADDRESS.api_version,
        "kind": IP_ADDRESS.kind,
        "metadata": {"name": address, "labels": {FAMILY: family_of(address), MANAGED_BY: CONTROLLER}},
        "spec": {"parentRef": parent},
    }


def _usable(service_cidr: Object) -> Iterator[str]:
    if "deletionTimestamp" in service_cidr["metadata"]:
        return
    conditions = (service_cidr.get("status") or {}).get("conditions") or ()
    if any(condition["type"] == "Ready" and condition["status"] != "True" for condition in conditions):
        return
    yield from (service_cidr.get("spec") or {}).get("cidrs") or ()
