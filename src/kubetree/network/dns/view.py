"""The cluster as the DNS server sees it: services, slices and namespaces, followed through informers."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.client import Client, Informer

Object = dict[str, Any]
Owner = tuple[str, str]
SERVICE_NAME_LABEL = "kubernetes.io/service-name"


class ClusterView:
    """Implements `records.Cluster`. `changed` is called with the (namespace, service) that changed, `cleared` when all may have."""

    def __init__(self, client: Client, changed: Callable[[Owner], None], cleared: Callable[[], None]) -> None:
        self.services_informer = Informer(client, kind("v1", "Service"), transform=_without_managed_fields)
        self._slices = Informer(client, kind("discovery.k8s.io/v1", "EndpointSlice"), transform=_without_managed_fields)
        self._namespaces = Informer(client, kind("v1", "Namespace"), transform=_name_only)
        self.services_informer.add_index("address", _cluster_ips)
        self._slices.add_index("service", lambda slice_: ["/".join(_owner(slice_))])
        self._slices.add_index("address", _endpoint_ips)
        self._changed, self._cleared = changed, cleared

    async def run(self) -> None:
        self.services_informer.on_change(lambda old, new: self._changed(_name(new or old or {})))
        self._slices.on_change(self._slice_changed)
        self._namespaces.on_change(lambda old, new: self._cleared() if old is None or new is None else None)
        async with asyncio.TaskGroup() as tasks:
            for informer in (self.services_informer, self._slices, self._namespaces):
                tasks.create_task(informer.run())

    async def synced(self) -> None:
        for informer in (self.services_informer, self._slices, self._namespaces):
            await informer.synced()

    def service(self, namespace: str, name: str) -> Object | None:
        return self.services_informer.get(namespace, name)

    def slices(self, namespace: str, name: str) -> Sequence[Object]:
        return self._slices.by_index("service", f"{namespace}/{name}")

    def has_namespace(self, name: str) -> bool:
        return self._namespaces.get("", name) is not None

    def services_at(self, address: str) -> Sequence[Object]:
        return self.services_informer.by_index("address", address)

    def slices_at(self, address: str) -> Sequence[Object]:
        return self._slices.by_index("address", address)

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        for slice_ in (old, new):
            if slice_ is not None:
                self._changed(_owner(slice_))


def _name(obj: Object) -> Owner:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _owner(slice_: Object) -> Owner:
    metadata = slice_["metadata"]
    return metadata.get("namespace", ""), (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL, "")


def _without_managed_fields(obj: Object) -> Object:
    """An object without what names never need, which is most of its memory."""
    metadata = {field: value for field, value in obj["metadata"].items() if field not in ("managedFields", "annotations")}
    return {**obj, "metadata": metadata}


def _name_only(namespace: Object) -> Object:
    metadata = namespace["metadata"]
    return {"metadata": {"name": metadata["name"], "resourceVersion": metadata["resourceVersion"]}}


def _cluster_ips(service: Object) -> Iterable[str]:
    spec = service.get("spec", {})
    return _canonical(spec.get("clusterIPs") or [spec.get("clusterIP", "")])


def _endpoint_ips(slice_: Object) -> Iterable[str]:
    return _canonical(endpoint["addresses"][0] for endpoint in slice_.get("endpoints") or () if slice_["addressType"] != "FQDN")


def _canonical(addresses: Iterable[str]) -> list[str]:
    return [str(ipaddress.ip_address(a)) for a in addresses if a and a != "None"]
