"""The write hook of Services: addresses and ports are reserved before the Service is written, and given back if it is not.

Follows pkg/registry/core/service/storage (beginCreate, beginUpdate, afterDelete). After a crash in between, `repair` puts the
reservations right.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any

from kubetree.api.errors import InternalError, NotFound
from kubetree.api.kind_table import kind
from kubetree.api.services import needs_cluster_ip, needs_health_check_node_port
from kubetree.apiserver.allocators.cluster_ips import AllocationError, ClusterIPs, Full
from kubetree.apiserver.allocators.node_ports import NodePorts
from kubetree.apiserver.allocators.service_fields import (
    init_ip_families,
    invalid_field,
    is_headless,
    keep_allocated,
    node_ports,
    normalize_cluster_ips,
)
from kubetree.apiserver.allocators.service_ports import Assignment, assign_on_create, assign_on_update
from kubetree.apiserver.registry import Finish, Writer

ENDPOINTS = kind("v1", "Endpoints")

Object = dict[str, Any]


class ServiceAllocation:
    """A `registry.WriteHook`."""

    resource = "services"

    def __init__(self, addresses: ClusterIPs, ports: NodePorts, writer: Writer, random: Random) -> None:
        self._addresses, self._ports, self._writer, self._random = addresses, ports, writer, random

    async def begin_create(self, obj: Object, *, dry_run: bool) -> Finish | None:
        spec = obj.setdefault("spec", {})
        if not obj["metadata"].get("name"):
            return None  # validation refuses it; nothing may be reserved for nobody
        normalize_cluster_ips(spec, None)
        init_ip_families(obj, None, self._addresses.families)
        wanted = len(spec.get("ipFamilies") or ()) if needs_cluster_ip(spec) and not is_headless(spec) else 0
        addresses = await self._take_addresses(obj, range(wanted), dry_run)
        return await self._with_ports(obj, None, addresses, [], dry_run)

    async def begin_update(self, new: Object, old: Object, *, dry_run: bool) -> Finish | None:
        spec, before = new.setdefault("spec", {}), old["spec"]
        keep_allocated(spec, before)
        normalize_cluster_ips(spec, before)
        init_ip_families(new, old, self._addresses.families)
        slots, released = _address_changes(spec, before)
        addresses = await self._take_addresses(new, slots, dry_run)
        return await self._with_ports(new, old, addresses, released, dry_run)

    async def after_delete(self, obj: Object, *, dry_run: bool) -> None:
        if dry_run:
            return
        metadata, spec = obj["metadata"], obj["spec"]
        with suppress(NotFound):
            await self._writer.delete(ENDPOINTS, metadata["namespace"], metadata["name"])
        if needs_cluster_ip(spec) and not is_headless(spec):
            await self._addresses.release(spec.get("clusterIPs") or ())
        ports = node_ports(spec)
        if needs_health_check_node_port(spec) and spec.get("healthCheckNodePort"):
            ports.append(spec["healthCheckNodePort"])
        await self._ports.release(ports)

    async def _take_addresses(self, service: Object, slots: Sequence[int], dry_run: bool) -> list[str]:
        """Fills clusterIPs at these places. What it took is given back when a later one fails."""
        spec, taken = service["spec"], list[str]()
        if not slots:
            return taken
        several = list(spec.get("clusterIPs") or ())
        several += [""] * (slots[-1] + 1 - len(several))
        try:
            for slot in slots:
                several[slot] = await self._take_address(service, spec["ipFamilies"][slot], several[slot], dry_run)
                taken.append(several[slot])
        except BaseException:
            if not dry_run:
                await self._addresses.release(taken)
            raise
        spec["clusterIPs"], spec["clusterIP"] = several, several[0]
        return taken

    async def _take_address(self, service: Object, family: str, wanted: str, dry_run: bool) -> str:
        stated = service["spec"].get("clusterIPs")
        try:
            if wanted:
                return await self._addresses.take(service, wanted, dry_run=dry_run)
            return await self._addresses.take_any(service, family, dry_run=dry_run)
        except Full as error:
            name = service["metadata"]["name"]
            raise InternalError(f'Internal error occurred: failed to allocate a serviceIP for Service "{name}": {error}') from error
        except AllocationError as error:
            raise invalid_field(service, "spec.clusterIPs", stated, f"failed to allocate IP {wanted}: {error}") from error

    async def _with_ports(self, new: Object, old: Object | None, taken: list[str], released: list[str], dry_run: bool) -> Finish | None:
        try:
            ports = await self._assign(new, old, dry_run)
        except BaseException:
            if not dry_run:
                await self._addresses.release(taken)
            raise
        ports.write(new["spec"])
        if dry_run or not (taken or released or ports.taken or ports.freed):
            return None

        async def finish(committed: bool) -> None:
            await self._addresses.release(released if committed else taken)
            await self._ports.release(ports.freed if committed else ports.taken)

        return finish

    async def _assign(self, new: Object, old: Object | None, dry_run: bool) -> Assignment:
        if not _concerns_ports(new["spec"]) and (old is None or not _concerns_ports(old["spec"])):
            return Assignment([0] * len(new["spec"].get("ports") or ()))
        run = self._ports.look if dry_run else self._ports.change
        if old is None:
            return await run(lambda used: assign_on_create(new, used, self._random))
        return await run(lambda used: assign_on_update(new, old, used, self._random))


def _concerns_ports(spec: Object) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def _address_changes(spec: Object, before: Object) -> tuple[Sequence[int], list[str]]:
    """The places of clusterIPs to fill, and the addresses to give back once the update is written."""
    had, has = needs_cluster_ip(before), needs_cluster_ip(spec)
    if has and not had:
        return ((), []) if is_headless(spec) else (range(len(spec.get("ipFamilies") or ())), [])
    if not had or is_headless(before):
        return (), []
    old_addresses, old_families = list(before.get("clusterIPs") or ()), before.get("ipFamilies") or ()
    if not has:
        return (), old_addresses
    families = spec.get("ipFamilies") or ()
    if len(old_families) == 1 and len(families) == 2:
        return (1,), []
    if len(old_families) == 2 and len(families) == 1:
        return (), old_addresses[1:]
    return (), []
