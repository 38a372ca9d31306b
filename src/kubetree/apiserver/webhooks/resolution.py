"""Where a Service leads: its cluster IP where a proxy makes it work, else one of its ready endpoints.

Follows kube-aggregator's service resolvers over apiserver's util/proxy. Reads the watch caches; calls nobody.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from kubetree.api.errors import ServiceUnavailable, not_found
from kubetree.api.kind_table import kind
from kubetree.apiserver.lister import Lister

Object = dict[str, Any]
_SERVICE, _SLICE = kind("v1", "Service"), kind("discovery.k8s.io/v1", "EndpointSlice")
_SERVICE_NAME = "kubernetes.io/service-name"
_ROUTED = ("", "ClusterIP", "NodePort", "LoadBalancer")


class Address(NamedTuple):
    """Where to connect to."""

    host: str
    port: int


class ServiceResolver(Protocol):
    """Where a Service leads now."""

    def resolve(self, namespace: str, name: str, port: int) -> Address:
        """`port` is the service's. Raises ApiError (NotFound, ServiceUnavailable) or ValueError for a service that leads nowhere."""
        ...


def service_resolver(lister: Lister, *, endpoints: bool) -> ServiceResolver:
    """`endpoints`: --enable-aggregator-routing, for API servers on machines where no proxy makes cluster IPs work."""
    return _Endpoints(lister) if endpoints else _ClusterIPs(lister)


class _ClusterIPs:
    def __init__(self, lister: Lister) -> None:
        self._lister = lister

    def resolve(self, namespace: str, name: str, port: int) -> Address:
        spec = _service(self._lister, namespace, name)["spec"]
        kind_of = spec.get("type") or ""
        if kind_of in ("", "ClusterIP") and spec.get("clusterIP") == "None":
            raise ValueError('cannot route to service with ClusterIP "None"')
        if kind_of in _ROUTED:
            _service_port(name, spec, port)
            return Address(spec.get("clusterIP") or "", port)
        if kind_of == "ExternalName":
            return Address(spec.get("externalName") or "", port)
        raise ValueError(f'unsupported service type "{kind_of}"')


class _Endpoints:
    def __init__(self, lister: Lister) -> None:
        self._lister = lister

    def resolve(self, namespace: str, name: str, port: int) -> Address:
        spec = _service(self._lister, namespace, name)["spec"]
        if (spec.get("type") or "") not in _ROUTED:
            raise ValueError(f'unsupported service type "{spec["type"]}"')
        wanted = _service_port(name, spec, port).get("name") or ""
        slices = [s for s in self._lister.list(_SLICE, namespace) if (s["metadata"].get("labels") or {}).get(_SERVICE_NAME) == name]
        families = spec.get("ipFamilies") or ()
        random.shuffle(slices)
        if families:
            slices.sort(key=lambda found: found.get("addressType") != families[0])
        found = _ready(slices, wanted)
        if found is None:
            raise ServiceUnavailable(f'no endpoints available for service "{name}"')
        return found


def _ready(slices: Sequence[Object], port_name: str) -> Address | None:
    for piece in slices:
        for port in piece.get("ports") or ():
            if (port.get("name") or "") != port_name or port.get("port") is None:
                continue
            ready = [e for e in piece.get("endpoints") or () if (e.get("conditions") or {}).get("ready") is not False]
            if ready:
                return Address(random.choice(ready)["addresses"][0], port["port"])
    return None


def _service(lister: Lister, namespace: str, name: str) -> Object:
    found = lister.get(_SERVICE, namespace, name)
    if found is None:
        raise not_found("service", "", name)
    return found


def _service_port(name: str, spec: Object, port: int) -> Object:
    for declared in spec.get("ports") or ():
        if declared.get("port") == port:
            found: Object = declared
            return found
    raise ServiceUnavailable(f'no service port {port} found for service "{name}"')
