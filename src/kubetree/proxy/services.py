"""What the proxy reads from Services and EndpointSlices, as plain values. Pure.

Follows pkg/proxy's ServicePort and Endpoint: one ServicePort for each port and address family, endpoints by (address, port).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
TRIGGER_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"
DEFAULT_AFFINITY_TIMEOUT = 10800


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service's traffic can go. `node` is empty for endpoints that no node of the cluster has."""

    address: str
    port: int
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    node: str = ""
    zone_hints: frozenset[str] = frozenset()
    node_hints: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a service in one address family. `affinity_timeout` is in seconds, 0 without session affinity."""

    name: str
    protocol: str
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_timeout: int = 0
    internal_local: bool = False
    external_local: bool = False

    @property
    def externally_accessible(self) -> bool:
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)

    @property
    def uses_cluster_endpoints(self) -> bool:
        return not self.internal_local or self.externally_accessible

    @property
    def uses_local_endpoints(self) -> bool:
        return self.internal_local or (self.external_local and self.externally_accessible)


def what_matters_of_a_service(service: Object) -> Object:
    """A service as the proxy keeps it: ten thousand of them should not cost the memory of their managedFields."""
    metadata, status = service["metadata"], service.get("status") or {}
    return {
        "metadata": _metadata(metadata),
        "spec": service.get("spec", {}),
        "status": {"loadBalancer": status.get("loadBalancer") or {}},
    }


def what_matters_of_a_slice(slice_: Object) -> Object:
    """A slice as the proxy keeps it. `triggered` is when the pods changed that led to it, "" when it does not say."""
    return {
        "metadata": _metadata(slice_["metadata"]),
        "addressType": slice_.get("addressType", ""),
        "ports": slice_.get("ports") or [],
        "endpoints": [{field: e[field] for field in _ENDPOINT_FIELDS if field in e} for e in slice_.get("endpoints") or ()],
        "triggered": (slice_["metadata"].get("annotations") or {}).get(TRIGGER_ANNOTATION, ""),
    }


_ENDPOINT_FIELDS = ("addresses", "conditions", "nodeName", "hints")


def _metadata(metadata: Object) -> Object:
    return {field: metadata[field] for field in ("namespace", "name", "labels", "resourceVersion") if field in metadata}


def proxied(service: Object) -> bool:
    """Whether kube-proxy has to do with a service: not a headless one, an ExternalName, or one that another proxy serves."""
    spec = service.get("spec", {})
    if PROXY_NAME_LABEL in (service["metadata"].get("labels") or {}):
        return False
    return spec.get("type") != "ExternalName" and spec.get("clusterIP", "") not in ("", "None")


def service_ports(service: Object, version: int) -> Sequence[ServicePort]:
    """The ports of a service in IP `version` 4 or 6; none when it has no virtual IP of that family."""
    spec = service["spec"]
    cluster_ips = _of_version(spec.get("clusterIPs") or [spec["clusterIP"]], version)
    if not cluster_ips:
        return ()
    ranges = _of_version((r.strip() for r in spec.get("loadBalancerSourceRanges") or ()), version)
    ingress = (service.get("status") or {}).get("loadBalancer", {}).get("ingress") or ()
    shared: dict[str, Any] = {
        "cluster_ip": cluster_ips[0],
        "external_ips": _of_version(spec.get("externalIPs") or (), version),
        "load_balancer_ips": _of_version((i["ip"] for i in ingress if i.get("ip") and i.get("ipMode", "VIP") == "VIP"), version),
        "source_ranges": () if any(r.endswith("/0") for r in ranges) else ranges,
        "affinity_timeout": _affinity_timeout(spec),
        "internal_local": spec.get("internalTrafficPolicy") == "Local",
        "external_local": spec.get("externalTrafficPolicy") == "Local",
    }
    return [
        ServicePort(
            name=port.get("name", ""),
            protocol=port.get("protocol", "TCP"),
            port=port["port"],
            node_port=port.get("nodePort", 0),
            **shared,
        )
        for port in spec.get("ports") or ()
    ]


def endpoints(slices: Iterable[Object], port_name: str, protocol: str, version: int) -> Sequence[Endpoint]:
    """A service port's endpoints over all its slices, in an order that depends on nothing but them. An endpoint that stands in two slices
    (as happens while the controller moves it) counts once, the ready one first."""
    found: dict[tuple[str, int], Endpoint] = {}
    for slice_ in slices:
        if slice_.get("addressType") != f"IPv{version}":
            continue
        for port in slice_.get("ports") or ():
            number = port.get("port")
            if (port.get("name") or "") != port_name or port.get("protocol", "TCP") != protocol or not number:
                continue
            for item in slice_.get("endpoints") or ():
                endpoint = _endpoint(item, number)
                known = found.get((endpoint.address, number))
                if known is None or (endpoint.ready, endpoint.serving) > (known.ready, known.serving):
                    found[endpoint.address, number] = endpoint
    return [found[key] for key in sorted(found)]


def _endpoint(item: Object, port: int) -> Endpoint:
    conditions = item.get("conditions") or {}
    ready = conditions.get("ready")
    serving = conditions.get("serving")
    ready = True if ready is None else ready
    hints = item.get("hints") or {}
    return Endpoint(
        address=_canonical(item["addresses"][0]),
        port=port,
        ready=ready,
        serving=ready if serving is None else serving,
        terminating=bool(conditions.get("terminating")),
        node=item.get("nodeName") or "",
        zone_hints=frozenset(h["name"] for h in hints.get("forZones") or ()),
        node_hints=frozenset(h["name"] for h in hints.get("forNodes") or ()),
    )


def _affinity_timeout(spec: Object) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(client_ip.get("timeoutSeconds") or DEFAULT_AFFINITY_TIMEOUT)


def _of_version(texts: Iterable[str], version: int) -> tuple[str, ...]:
    """The addresses or ranges of one family, in the family's canonical spelling; what is neither is left out."""
    found = []
    for text in texts:
        if (":" in text) != (version == 6):
            continue
        try:
            found.append(str(ipaddress.ip_network(text, strict=False)) if "/" in text else _canonical(text))
        except ValueError:
            continue
    return tuple(dict.fromkeys(found))


def _canonical(address: str) -> str:
    """The API server takes IPv4 addresses in their one spelling only; IPv6 addresses have many."""
    return str(ipaddress.ip_address(address)) if ":" in address else address
