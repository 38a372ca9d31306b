"""Keeps this machine's Node object: registers it, reports its status when it changes, renews its Lease.

A status is written at once when something changed and every five minutes otherwise; the Lease is what tells the control plane each
ten seconds that the node lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client.events import EventRecorder
from kubetree.client.rest import Client
from kubetree.kubelet import machine as machines
from kubetree.kubelet import node_status
from kubetree.kubelet.config import KubeletConfig
from kubetree.kubelet.cri.client import RuntimeClient, RuntimeFailure
from kubetree.kubelet.machine import Machine
from kubetree.kubelet.node_status import Health, RuntimeInfo

Object = dict[str, Any]

NODE, LEASE = kind("v1", "Node"), kind("coordination.k8s.io/v1", "Lease")
LEASE_NAMESPACE = "kube-node-lease"
FAST_CHECK = 0.1
"""Seconds between looks at the runtime, and between tries to register, while the node is not ready."""

log = logging.getLogger("kubetree.kubelet")


class NodeKeeper:
    """`runtime_failure()` says why the runtime is away, or ''. `node` is the object as last seen."""

    def __init__(
        self,
        config: KubeletConfig,
        machine: Machine,
        addresses: tuple[str, ...],
        runtime: RuntimeClient,
        client: Client | None,
        recorder: EventRecorder | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config, self._machine, self._addresses = config, machine, addresses
        self._runtime, self._client, self._recorder, self._now = runtime, client, recorder, now
        self.node: Object | None = None
        self.network_failure = "container runtime network not ready: the runtime has not been asked yet"
        self.runtime_failure = ""
        self._runtime_info = RuntimeInfo()
        self._reported_at = 0.0
        self._registered = asyncio.Event()
        self._changed = asyncio.Event()
        self.port = config.port
        """Where the kubelet's own server listens; another than configured when that was 0."""

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_runtime())
            if self._client is not None and self._config.register_node:
                group.create_task(self._keep_status())
                group.create_task(self._keep_lease())

    async def registered(self) -> None:
        """Returns once the Node object is there; never without an API server."""
        await self._registered.wait()

    # -- the runtime's own condition

    async def _watch_runtime(self) -> None:
        while True:
            before = self.runtime_failure, self.network_failure
            await self.ask_runtime()
            if before != (self.runtime_failure, self.network_failure):
                self._changed.set()
            well = not (self.network_failure or self.runtime_failure)
            await asyncio.sleep(5.0 if well else FAST_CHECK)

    async def ask_runtime(self) -> None:
        """Learn whether runtime and network are ready."""
        try:
            if self._runtime_info.version.endswith("unknown"):
                version = await self._runtime.call("Version", rpc_timeout=5)
                self._runtime_info = RuntimeInfo(f"{version.runtime_name}://{version.runtime_version}")
            answer = await self._runtime.call("Status", rpc_timeout=5)
            conditions = {c.type: c for c in answer.status.conditions}
            self._runtime_info = replace(self._runtime_info, handlers=tuple(_handler(h) for h in answer.runtime_handlers))
        except RuntimeFailure as error:
            self.runtime_failure = f"container runtime is down: {error}"
            return
        self.runtime_failure = self._unwell(conditions, "RuntimeReady", "container runtime not ready")
        self.network_failure = self._unwell(conditions, "NetworkReady", "container runtime network not ready")

    @staticmethod
    def _unwell(conditions: dict[str, Any], kind_: str, title: str) -> str:
        condition = conditions.get(kind_)
        if condition is None or condition.status:
            return ""
        return f"{title}: {kind_}=false reason:{condition.reason} message:{condition.message}"

    def health(self) -> Health:
        total, available = machines.disk_usage(self._config.root_dir)
        return Health(
            not_ready=tuple(text for text in (self.runtime_failure, self.network_failure) if text),
            memory_pressure=self._config.eviction and machines.memory_available() < node_status.EVICTION_MEMORY,
            disk_pressure=self._config.eviction and available < total * node_status.EVICTION_DISK,
        )

    # -- the Node object

    async def _keep_status(self) -> None:
        while True:
            self._changed.clear()
            try:
                if self.node is None:
                    await self.register()
                await self._report()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._config.status_period):
                        await self._changed.wait()
            except errors.ApiError as error:
                # A Node that was deleted stays so until the kubelet is started again, as upstream.
                log.warning("node %s: %s", self._config.node_name, error.message)
                await asyncio.sleep(1 if self._registered.is_set() else FAST_CHECK)

    async def register(self) -> None:
        """Make the Node object, or bring the labels of the one that is there in line. Raises ApiError."""
        client = self._client
        if client is None:
            return
        wanted = node_status.new_node(self._config, self._machine)
        wanted["status"] = await self._status({})
        try:
            self.node = await client.create(NODE, wanted)
            self._event("Normal", "Starting", "Starting kubelet.")
        except errors.AlreadyExists:
            node = await client.get(NODE, self._config.node_name)
            labels = wanted["metadata"]["labels"]
            present = node["metadata"].get("labels") or {}
            if any(present.get(key) != value for key, value in labels.items()):
                node = await client.patch(NODE, self._config.node_name, {"metadata": {"labels": labels}}, type="strategic")
            self.node = node
        self._registered.set()

    async def _status(self, earlier: Object) -> Object:
        try:
            images = (await self._runtime.call("ListImages", rpc_timeout=10)).images
        except RuntimeFailure:
            images = []
        return node_status.node_status(
            replace(self._config, port=self.port),
            self._machine,
            self._addresses,
            self._runtime_info,
            images,
            self.health(),
            earlier,
            self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    async def _report(self) -> None:
        client, node = self._client, self.node
        if client is None or node is None:
            return
        earlier = node.get("status") or {}
        status = await self._status(earlier)
        moment = self._now().timestamp()
        if not node_status.differs(earlier, status) and moment - self._reported_at < self._config.status_report_period:
            # Others write to the Node as well: look at it now and then, cheaply, as upstream does from its cache.
            if moment - self._reported_at > 60:
                self.node = await client.get(NODE, self._config.node_name)
            return
        for reason in node_status.transitions(earlier, status):
            self._event("Normal", reason, f"Node {self._config.node_name} status is now: {reason}")
        changed = {key: value for key, value in status.items() if earlier.get(key) != value}
        if "addresses" in changed:
            changed["addresses"] = [*changed["addresses"], {"$patch": "replace"}]
        self.node = await client.patch(NODE, self._config.node_name, {"status": changed}, type="strategic", subresource="status")
        self._reported_at = moment

    def _event(self, type_: str, reason: str, message: str) -> None:
        if self._recorder is not None:
            name = self._config.node_name
            self._recorder.event({"apiVersion": "v1", "kind": "Node", "name": name, "uid": name}, type_, reason, message)

    # -- the Lease

    async def _keep_lease(self) -> None:
        await self._registered.wait()
        while True:
            try:
                await self._renew()
                await asyncio.sleep(self._config.lease_duration / 4)
            except errors.ApiError as error:
                log.warning("lease of node %s: %s", self._config.node_name, error.message)
                await asyncio.sleep(1)

    async def _renew(self) -> None:
        client, name, node = self._client, self._config.node_name, self.node
        if client is None:
            return
        renewed = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        try:
            patch = {"spec": {"holderIdentity": name, "leaseDurationSeconds": self._config.lease_duration, "renewTime": renewed}}
            await client.patch(LEASE, name, patch, namespace=LEASE_NAMESPACE, type="merge")
        except errors.NotFound:
            lease: Object = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": LEASE_NAMESPACE},
                "spec": patch["spec"],
            }
            if node is not None:
                owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
                lease["metadata"]["ownerReferences"] = [owner]
            await client.create(LEASE, lease)


def _handler(handler: Any) -> Object:
    """v1.NodeRuntimeHandler of CRI's RuntimeHandler, which newer runtimes answer."""
    features = handler.features
    return {
        "name": handler.name,
        "features": {"recursiveReadOnlyMounts": features.recursive_read_only_mounts, "userNamespaces": features.user_namespaces},
    }
