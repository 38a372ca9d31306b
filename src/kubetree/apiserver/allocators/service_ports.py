"""Which node ports a Service gets: a pure function of its spec and the ports in use."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from kubetree.api.errors import ApiError, InternalError
from kubetree.api.services import needs_health_check_node_port, needs_node_ports
from kubetree.apiserver.allocators.cluster_ips import AllocationError, Full
from kubetree.apiserver.allocators.node_ports import PortSet
from kubetree.apiserver.allocators.service_fields import invalid_field, node_ports

Object = dict[str, Any]


@dataclass(slots=True)
class Assignment:
    """What to write into the spec: `ports` by index of spec.ports (0: leave), `health_check` likewise.

    `taken` were reserved for it; `freed` are to be released once the Service has been written.
    """

    ports: list[int]
    health_check: int = 0
    taken: list[int] = field(default_factory=list)
    freed: list[int] = field(default_factory=list)

    def write(self, spec: Object) -> None:
        for port, number in zip(spec.get("ports") or (), self.ports, strict=True):
            if number:
                port["nodePort"] = number
        if self.health_check:
            spec["healthCheckNodePort"] = self.health_check


def assign_on_create(service: Object, used: PortSet, random: Random) -> Assignment:
    """Reserves in `used`. Raises Invalid, InternalError."""
    spec = service["spec"]
    ports = spec.get("ports") or ()
    result = Assignment([0] * len(ports))
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        shared: dict[int, int] = {}
        for index, port in enumerate(ports):
            number = port.get("nodePort") or 0
            if not number and not needs_node_ports(spec):
                continue
            known = shared.get(port["port"])
            if known is None:
                wanted = next((p["nodePort"] for p in ports if p["port"] == port["port"] and p.get("nodePort")), 0)
                known = shared[port["port"]] = _reserve(service, used, random, wanted, index, result)
                result.ports[index] = known
            elif number != known:
                result.ports[index] = _reserve(service, used, random, number, index, result) if number else known
    _health_check_port(service, None, used, random, result)
    return result


def assign_on_update(service: Object, old: Object, used: PortSet, random: Random) -> Assignment:
    """As for a create; `old` keeps what it has until the write is done."""
    spec, before = service["spec"], old["spec"]
    ports = spec.get("ports") or ()
    result = Assignment([0] * len(ports))
    had = node_ports(before)
    exposed = spec.get("type") in ("NodePort", "LoadBalancer")
    if exposed:
        seen: set[tuple[str, int]] = set()
        for index, port in enumerate(ports):
            number = port.get("nodePort") or 0
            if not number and not needs_node_ports(spec):
                continue
            if not number or (number not in had and number not in result.taken):
                number = _reserve(service, used, random, number, index, result)
                result.ports[index] = number
            protocol = port.get("protocol", "TCP")
            if (protocol, number) in seen:
                raise ApiError(f"duplicate nodePort: {{{protocol} {number}}}", status_reason="")
            seen.add((protocol, number))
    if before.get("type") in ("NodePort", "LoadBalancer"):
        now = {number or port.get("nodePort") for number, port in zip(result.ports, ports, strict=True)} if exposed else set()
        result.freed += [number for number in dict.fromkeys(had) if number not in now]
    _health_check_port(service, before, used, random, result)
    return result


def _reserve(service: Object, used: PortSet, random: Random, wanted: int, index: int, result: Assignment) -> int:
    try:
        number = used.take(wanted) if wanted else used.take_any(random)
    except Full as error:
        raise InternalError(f"Internal error occurred: failed to allocate a nodePort: {error}") from error
    except AllocationError as error:
        raise invalid_field(service, f"spec.ports[{index}].nodePort", wanted, str(error)) from error
    result.taken.append(number)
    return number


def _health_check_port(service: Object, before: Object | None, used: PortSet, random: Random, result: Assignment) -> None:
    spec = service["spec"]
    needed, needs = before is not None and needs_health_check_node_port(before), needs_health_check_node_port(spec)
    if needed and not needs and before is not None and before.get("healthCheckNodePort"):
        result.freed.append(before["healthCheckNodePort"])
    if needed or not needs:
        return
    wanted = spec.get("healthCheckNodePort") or 0
    try:
        result.health_check = used.take(wanted) if wanted else used.take_any(random)
    except AllocationError as error:
        asked = f"requested HealthCheck NodePort {wanted}" if wanted else "a HealthCheck NodePort 0"
        raise InternalError(f"Internal error occurred: failed to allocate {asked}: {error}") from error
    result.taken.append(result.health_check)
