"""The Service `kubernetes` in `default`, through which pods reach the API servers, and its endpoints: the servers that are alive.

Follows pkg/controlplane/controller/kubernetesservice and reconcilers/lease.go: each server renews a key that expires, and whoever
reconciles writes the addresses of all keys into the endpoints.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson

from kubetree.api.errors import AlreadyExists, ApiError, NotFound
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.apiserver.allocators.ip_ranges import family_of
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.registry import Writer
from kubetree.store.protocol import Store, StoreUnavailable

log = logging.getLogger(__name__)
SERVICE, ENDPOINTS = kind("v1", "Service"), kind("v1", "Endpoints")
ENDPOINT_SLICE = kind("discovery.k8s.io/v1", "EndpointSlice")
LEASES = "/registry/masterleases/"
INTERVAL, RETRY, TTL = 10.0, 1.0, 15
NAMESPACE, NAME = "default", "kubernetes"

Object = dict[str, Any]


class KubernetesService:
    """`address` is where this server can be reached ('' when nobody knows: then only the Service itself is kept)."""

    def __init__(self, config: Config, store: Store, writer: Writer, address: str, port: int) -> None:
        self._store, self._writer = store, writer
        self._address, self._port = address, port
        network = ipaddress.ip_network(config.service_cluster_ip_range[0], strict=False)
        self._node_port = config.kubernetes_service_node_port
        self._cluster_ip = str(network.network_address + 1)

    async def run(self) -> None:
        """Keeps both up to date until cancelled; then takes this server's address away."""
        try:
            while True:
                pause = INTERVAL
                try:
                    await self.once()
                except (ApiError, StoreUnavailable) as error:  # another server that starts now may have just taken its address
                    log.warning("the Service kubernetes could not be brought up to date: %s", error)
                    pause = RETRY
                await asyncio.sleep(pause)
        finally:
            with suppress(ApiError, StoreUnavailable):
                await self._withdraw()

    async def once(self) -> None:
        await self._ensure_service()
        if self._address:
            await self._renew()
            await self._write_endpoints()

    async def _ensure_service(self) -> None:
        try:
            await self._writer.get(SERVICE, NAMESPACE, NAME)
        except NotFound:
            with suppress(AlreadyExists):
                await self._writer.create(SERVICE, self._service())

    def _service(self) -> Object:
        port: Object = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": self._port}
        if self._node_port:
            port["nodePort"] = self._node_port
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {
                "type": "NodePort" if self._node_port else "ClusterIP",
                "clusterIP": self._cluster_ip,
                "ipFamilyPolicy": "SingleStack",
                "sessionAffinity": "None",
                "ports": [port],
                "internalTrafficPolicy": "Cluster",
            },
        }

    async def _renew(self) -> None:
        key, value = (
            LEASES + self._address,
            orjson.dumps({"kind": "Endpoints", "apiVersion": "v1", "subsets": self._subsets([self._address])}),
        )
        entry, _ = await self._store.get(key)
        if entry is None:
            await self._store.create(key, value, ttl=TTL)
        else:
            await self._store.update(key, value, entry.revision, ttl=TTL)

    async def _alive(self) -> list[str]:
        page = await self._store.range(LEASES)
        return sorted(entry.key.removeprefix(LEASES) for entry in page.entries)

    async def _withdraw(self) -> None:
        if not self._address:
            return
        entry, _ = await self._store.get(LEASES + self._address)
        if entry is not None:
            await self._store.delete(entry.key, entry.revision)
        await self._write_endpoints()

    def _subsets(self, addresses: list[str]) -> list[Object]:
        port = {"name": "https", "port": self._port, "protocol": "TCP"}
        return [{"addresses": [{"ip": address} for address in addresses], "ports": [port]}] if addresses else []

    async def _write_endpoints(self) -> None:
        alive = await self._alive()
        await self._ensure(ENDPOINTS, {"endpointslice.kubernetes.io/skip-mirror": "true"}, {"subsets": self._subsets(alive)})
        port = {"name": "https", "port": self._port, "protocol": "TCP"}
        endpoints = [{"addresses": [address], "conditions": {"ready": True}} for address in alive]
        fields = {"addressType": family_of(self._address), "endpoints": endpoints, "ports": [port]}
        await self._ensure(ENDPOINT_SLICE, {"kubernetes.io/service-name": NAME}, fields)

    async def _ensure(self, row: Kind, labels: dict[str, str], fields: Object) -> None:
        def change(obj: Object) -> Object | None:
            return None if all((obj.get(name) or []) == value for name, value in fields.items()) else obj | fields

        try:
            await self._writer.update(row, NAMESPACE, NAME, change)
        except NotFound:
            metadata = {"name": NAME, "namespace": NAMESPACE, "labels": labels}
            with suppress(AlreadyExists):
                await self._writer.create(row, {"apiVersion": row.api_version, "kind": row.kind, "metadata": metadata, **fields})


def advertised_address(config: Config, outgoing: Callable[[], str] | None = None) -> str:
    """--advertise-address, else the address bound to, else (for all interfaces or loopback) the one that packets leave from; or ''."""
    stated = config.advertise_address or config.bind_address
    with suppress(ValueError):
        found = ipaddress.ip_address(stated)
        if not (found.is_unspecified or found.is_loopback):
            return stated
    return (outgoing or outgoing_address)()


def external_address(config: Config, url: str) -> str:
    """host:port by which others reach the server that listens at `url`."""
    host, _, port = url.partition("://")[2].rpartition(":")
    if config.external_hostname:
        return config.external_hostname if ":" in config.external_hostname else f"{config.external_hostname}:{port}"
    found = advertised_address(config)
    if not found:
        return f"{host}:{port}"
    return f"[{found}]:{port}" if ":" in found else f"{found}:{port}"


def outgoing_address() -> str:
    """The source address of a packet to somewhere else, '' without a route. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
    return "" if ipaddress.ip_address(address).is_loopback else address
