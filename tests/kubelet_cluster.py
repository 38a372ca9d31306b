"""An API server in this process with a kubelet over real containers: what the kubelet's node tests of API pods stand on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kubelet_machine import Machine, until
from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.apiserver.options.config import Config, TLSFiles
from kubetree.apiserver.server import ApiServer
from kubetree.client import Client, ClientConfig
from kubetree.cluster.certificates import ClusterCertificates, node_client, node_server
from kubetree.kubelet.config import KubeletConfig
from kubetree.kubelet.dns import DnsSettings, Resolver
from kubetree.kubelet.kubelet import Kubelet

Object = dict[str, Any]
POD, NODE, EVENT, NAMESPACE = kind("v1", "Pod"), kind("v1", "Node"), kind("v1", "Event"), kind("v1", "Namespace")
SYSTEM_NAMESPACES = ("default", "kube-node-lease")


class Cluster:
    """`client` is the test's own, with every right; `node_client` is the kubelet's."""

    def __init__(self, machine: Machine, client: Client, node_client: Client, **settings: Any) -> None:
        self.machine, self.client, self.node_client, self.settings = machine, client, node_client, settings
        self.kubelet: Kubelet | None = None
        self._task: asyncio.Task[None] | None = None

    def config(self) -> KubeletConfig:
        made = KubeletConfig(
            node_name="node-a",
            root_dir=self.machine.kubelet_root,
            pod_log_dir=self.machine.logs,
            runtime_endpoint=f"unix://{self.machine.config.socket}",
            node_ips=("127.0.0.1",),
            manifest_path=self.machine.manifests,
            manifest_period=0.1,
            cgroup_root=f"/{self.machine.cgroup}",
            dns=DnsSettings(("10.96.0.10",), "cluster.local", Resolver(("192.0.2.1",), ("example.org",))),
            address="127.0.0.1",
            port=0,
            cert_dir=self.machine.base / "pki",
            anonymous_auth=True,
            authorization_mode="AlwaysAllow",
        )
        return replace(made, **self.settings)

    async def start_kubelet(self) -> None:
        self.kubelet = kubelet = Kubelet(self.config(), self.node_client)
        self._task = asyncio.create_task(kubelet.run())
        await until(lambda: kubelet.node.node and not kubelet.node.health().not_ready, "the node is ready")

    async def ensure_kubelet(self) -> None:
        """Starts the kubelet unless it runs: a test may have failed after it had stopped it."""
        if self._task is None or self._task.done():
            await self.start_kubelet()

    async def stop_kubelet(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    # -- pods

    async def create(self, pod: Object) -> Object:
        bound = {**pod, "spec": {**pod["spec"], "nodeName": "node-a"}}
        return await self.client.create(POD, bound, "default")

    async def get(self, name: str) -> Object | None:
        try:
            return await self.client.get(POD, name, "default")
        except errors.NotFound:
            return None

    async def status(self, name: str) -> Object:
        pod = await self.get(name)
        return (pod or {}).get("status") or {}

    async def phase(self, name: str, phase: str, timeout: float = 40.0) -> Object:
        """The pod once it is in a phase."""

        async def reached() -> Object | None:
            pod = await self.get(name)
            return pod if pod and pod["status"].get("phase") == phase else None

        found: Object = await until(reached, f"{name} is {phase}", timeout)
        return found

    async def waiting(self, name: str, reason: str, timeout: float = 40.0) -> Object:
        """The first container's waiting state once it has this reason."""

        async def reached() -> Object | None:
            statuses = (await self.status(name)).get("containerStatuses") or [{}]
            waiting = (statuses[0].get("state") or {}).get("waiting") or {}
            return waiting if waiting.get("reason") == reason else None

        found: Object = await until(reached, f"{name} waits: {reason}", timeout)
        return found

    async def names(self) -> set[str]:
        """Of all pods."""
        return {pod["metadata"]["name"] for pod in (await self.client.list(POD, "default"))["items"]}

    async def delete_others(self, kept: set[str]) -> None:
        """Asks for the immediate end of all pods but these: what they do costs the next test's pods their time."""
        self.machine.delete_pods()
        for name in await self.names() - kept:
            with contextlib.suppress(errors.NotFound):
                await self.client.delete(POD, name, "default", grace_period=0)

    async def gone(self, name: str, timeout: float = 40.0) -> None:
        async def absent() -> bool:
            return await self.get(name) is None

        await until(absent, f"{name} is gone", timeout)

    async def events(self, name: str) -> list[tuple[str, str]]:
        """(reason, message) of a pod's events."""
        listed = await self.client.list(EVENT, "default")
        return [(e["reason"], e["message"]) for e in listed["items"] if e["involvedObject"].get("name") == name]

    async def event(self, name: str, reason: str, text: str = "", timeout: float = 40.0) -> str:
        """The message of the first event with this reason whose message has `text`."""

        async def seen() -> str | None:
            return next((message for r, message in await self.events(name) if r == reason and text in message), None)

        found: str = await until(seen, f"{name} has an event {reason} {text}", timeout)
        return found


@contextlib.asynccontextmanager
async def cluster(machine: Machine) -> AsyncIterator[Cluster]:
    server = ApiServer(Config(always_allow=True, disable_admission_plugins=("ServiceAccount",)))
    await server.start()
    try:
        async with Client(ClientConfig(server.url)) as client:
            for name in SYSTEM_NAMESPACES:
                with contextlib.suppress(errors.AlreadyExists):
                    await client.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            made = Cluster(machine, client, client)
            await made.start_kubelet()
            try:
                yield made
            finally:
                await made.stop_kubelet()
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def secured_cluster(machine: Machine) -> AsyncIterator[Cluster]:
    """As `cluster`, but as in earnest: TLS, certificates, RBAC, the Node authorizer and every admission plugin."""
    now = datetime.now(UTC)
    pki = machine.base / "cluster-pki"
    certificates = ClusterCertificates.create(["127.0.0.1"], now)
    certificates.write(pki)
    serving, identity = (
        node_server(certificates.authority, "node-a", ["127.0.0.1"], now),
        node_client(certificates.authority, "node-a", now),
    )
    (pki / "kubelet.crt").write_bytes(serving.certificate)
    (pki / "kubelet.key").write_bytes(serving.key)
    config = Config(
        tls=TLSFiles(pki / "apiserver.crt", pki / "apiserver.key", pki / "ca.crt"),
        service_account_key_files=(pki / "sa.pub",),
        service_account_signing_key_file=pki / "sa.key",
        kubelet_client_certificate=pki / "apiserver-kubelet-client.crt",
        kubelet_client_key=pki / "apiserver-kubelet-client.key",
        kubelet_certificate_authority=pki / "ca.crt",
        enable_admission_plugins=("NodeRestriction",),
    )
    server = ApiServer(config)
    await server.start()
    ca = certificates.authority.certificate
    admin = ClientConfig(server.url, ca=ca, client_cert=certificates.admin.certificate, client_key=certificates.admin.key)
    node = ClientConfig(server.url, ca=ca, client_cert=identity.certificate, client_key=identity.key)
    settings = {
        "anonymous_auth": False,
        "authorization_mode": "Webhook",
        "tls_cert_file": str(pki / "kubelet.crt"),
        "tls_key_file": str(pki / "kubelet.key"),
        "client_ca_file": str(pki / "ca.crt"),
    }
    try:
        async with Client(admin) as client, Client(node) as node_connection:
            for name in SYSTEM_NAMESPACES:
                with contextlib.suppress(errors.AlreadyExists):
                    await client.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            made = Cluster(machine, client, node_connection, **settings)
            await made.start_kubelet()
            try:
                yield made
            finally:
                await made.stop_kubelet()
    finally:
        await server.stop()
