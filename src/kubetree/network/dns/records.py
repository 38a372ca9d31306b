"""Which records a name of the cluster has: from services, their slices and the namespaces. Pure.

Follows the Kubernetes DNS specification 1.1.0, and CoreDNS where the specification leaves room.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kubetree.network.dns.names import Name, NameKind, dashed

Object = dict[str, Any]

SERVICE_TTL = 30
"""Seconds that a service's own records may be kept: its addresses do not change while it exists."""
ENDPOINT_TTL = 5
"""Seconds for everything that changes with pods, and for names that are not there yet."""


class Cluster(Protocol):
    """What the records are made of."""

    def service(self, namespace: str, name: str) -> Object | None: ...

    def slices(self, namespace: str, name: str) -> Sequence[Object]: ...

    def has_namespace(self, name: str) -> bool: ...

    def services_at(self, address: str) -> Sequence[Object]:
        """The services that have `address` as a cluster IP."""

    def slices_at(self, address: str) -> Sequence[Object]:
        """The slices with an endpoint at `address`."""


@dataclass(frozen=True, slots=True)
class Service:
    """A target of an SRV record: `host` is a full name without the last dot."""

    host: str
    port: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Records:
    """What a name has. A name of which nothing is known has `exists` False; one that exists may have nothing (NODATA)."""

    exists: bool = True
    addresses: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    alias: str = ""
    ttl: int = SERVICE_TTL

    def of_version(self, version: int) -> list[str]:
        return [a for a in self.addresses if (":" in a) == (version == 6)]


NOTHING = Records(exists=False, ttl=ENDPOINT_TTL)
EMPTY = Records()


@dataclass(frozen=True, slots=True)
class _Endpoint:
    address: str
    hostname: str
    ports: tuple[tuple[str, str, int], ...] = field(default=())
    """(name, protocol in lower case, number) of each port."""


def records(name: Name, cluster: Cluster, domain: str) -> Records:
    """The records of a name below the cluster domain, but for those of the domain itself."""
    match name.kind:
        case NameKind.UNKNOWN:
            return NOTHING
        case NameKind.APEX | NameKind.EMPTY | NameKind.VERSION:
            return EMPTY
    if not cluster.has_namespace(name.namespace):
        return NOTHING
    match name.kind:
        case NameKind.NAMESPACE:
            return EMPTY
        case NameKind.POD:
            return Records(addresses=(name.address,)) if name.address else NOTHING
    service = cluster.service(name.namespace, name.service)
    return _service_records(name, service, cluster, domain) if service else NOTHING


def names_at(address: str, cluster: Cluster, domain: str) -> list[str]:
    """The names that an address has, as PTR records give them: its service's, or else those of the endpoints at it."""
    for service in cluster.services_at(address):
        return [_service_name(service["metadata"], domain)]
    found = []
    for slice_ in cluster.slices_at(address):
        metadata = slice_["metadata"]
        service = (metadata.get("labels") or {}).get("kubernetes.io/service-name", "")
        for endpoint in _ready_endpoints([slice_]):
            if service and endpoint.address == address:
                found.append(f"{endpoint.hostname}.{service}.{metadata['namespace']}.svc.{domain}")
    return sorted(set(found))


def _service_name(metadata: Object, domain: str) -> str:
    return f"{metadata['name']}.{metadata['namespace']}.svc.{domain}"


def _service_records(name: Name, service: Object, cluster: Cluster, domain: str) -> Records:
    spec, full_name = service["spec"], _service_name(service["metadata"], domain)
    if spec.get("type") == "ExternalName":
        return NOTHING if name.endpoint or name.port else Records(alias=spec["externalName"].rstrip(".").lower())
    if name.endpoint or spec.get("clusterIP") == "None":
        return _endpoint_records(name, cluster.slices(name.namespace, name.service), full_name)
    addresses = tuple(_canonical(ip) for ip in spec.get("clusterIPs") or [spec["clusterIP"]] if ip)
    ports = [p for p in spec.get("ports") or () if _asked(name, p.get("name", ""), p.get("protocol", "TCP").lower())]
    if not ports:
        return NOTHING
    return Records(addresses=addresses, services=tuple(Service(full_name, p["port"], addresses) for p in ports))


def _endpoint_records(name: Name, slices: Sequence[Object], full_name: str) -> Records:
    addresses: dict[str, None] = {}
    services: dict[Service, None] = {}
    for endpoint in _ready_endpoints(slices):
        if name.endpoint and endpoint.hostname != name.endpoint:
            continue
        ports = [port for port_name, protocol, port in endpoint.ports if _asked(name, port_name, protocol)]
        if ports or not (name.port or name.protocol):
            addresses[endpoint.address] = None
        for port in ports:
            services[Service(f"{endpoint.hostname}.{full_name}", port, (endpoint.address,))] = None
    if not addresses:
        return NOTHING
    return Records(addresses=tuple(addresses), services=tuple(services), ttl=ENDPOINT_TTL)


def _asked(name: Name, port: str, protocol: str) -> bool:
    return (not name.port or name.port == port) and (not name.protocol or name.protocol == protocol)


def _ready_endpoints(slices: Sequence[Object]) -> Iterator[_Endpoint]:
    for slice_ in slices:
        if slice_.get("addressType") not in ("IPv4", "IPv6"):
            continue
        ports = tuple(
            (p.get("name") or "", p.get("protocol", "TCP").lower(), p["port"]) for p in slice_.get("ports") or () if p.get("port")
        )
        for item in slice_.get("endpoints") or ():
            if (item.get("conditions") or {}).get("ready") is False:
                continue
            address = _canonical(item["addresses"][0])
            yield _Endpoint(address, item.get("hostname") or dashed(address), ports)


def _canonical(address: str) -> str:
    return str(ipaddress.ip_address(address))
