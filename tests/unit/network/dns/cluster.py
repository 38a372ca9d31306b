"""A cluster for DNS tests, as plain objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]


class FixedCluster:
    def __init__(self, *objects: Object, namespaces: Sequence[str] = ("default", "kube-system")) -> None:
        self.objects = list(objects)
        self.namespaces = set(namespaces)

    def _of(self, kind: str) -> list[Object]:
        return [o for o in self.objects if o["kind"] == kind]

    def service(self, namespace: str, name: str) -> Object | None:
        found = (s for s in self._of("Service") if (s["metadata"]["namespace"], s["metadata"]["name"]) == (namespace, name))
        return next(found, None)

    def slices(self, namespace: str, name: str) -> Sequence[Object]:
        return [s for s in self._of("EndpointSlice") if s["metadata"]["labels"]["kubernetes.io/service-name"] == name]

    def has_namespace(self, name: str) -> bool:
        return name in self.namespaces

    def services_at(self, address: str) -> Sequence[Object]:
        return [s for s in self._of("Service") if address in s["spec"].get("clusterIPs", [s["spec"].get("clusterIP")])]

    def slices_at(self, address: str) -> Sequence[Object]:
        return [s for s in self._of("EndpointSlice") if any(address in e["addresses"] for e in s["endpoints"])]


def service(name: str, namespace: str = "default", **spec: Any) -> Object:
    return {"kind": "Service", "metadata": {"namespace": namespace, "name": name}, "spec": spec}


def slice_of(name: str, *endpoints: Object, ports: Sequence[Object] = ({"name": "http", "port": 8080},)) -> Object:
    metadata = {"namespace": "default", "name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}}
    return {"kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4", "ports": list(ports), "endpoints": list(endpoints)}


HTTP = {"name": "http", "port": 80, "protocol": "TCP"}
CLUSTER = FixedCluster(
    service(
        "web",
        clusterIP="10.96.0.20",
        clusterIPs=["10.96.0.20", "fd00:20::20"],
        ports=[HTTP, {"name": "dns", "port": 53, "protocol": "UDP"}],
    ),
    slice_of("web", {"addresses": ["10.244.0.9"]}),
    service("db", clusterIP="None", ports=[HTTP]),
    slice_of(
        "db",
        {"addresses": ["10.244.0.5"], "hostname": "db-0"},
        {"addresses": ["10.244.0.6"]},
        {"addresses": ["10.244.0.7"], "hostname": "db-2", "conditions": {"ready": False}},
    ),
    service("portless", clusterIP="None"),
    slice_of("portless", {"addresses": ["10.244.0.8"]}, ports=()),
    service("empty", clusterIP="None", ports=[HTTP]),
    service("outside", type="ExternalName", externalName="www.Example.com."),
    service("inside", type="ExternalName", externalName="web.default.svc.cluster.local"),
    service("circle", type="ExternalName", externalName="circle.default.svc.cluster.local"),
    service("kube-dns", namespace="kube-system", clusterIP="10.96.0.10", ports=[{"name": "dns", "port": 53, "protocol": "UDP"}]),
)
