"""The kubelet: its parts wired together, and where pods come from."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client.delegated import Delegated
from kubetree.client.events import EventRecorder
from kubetree.client.informer import Informer
from kubetree.client.rest import Client
from kubetree.kubelet import admission, chores, image_collection, log_rotation, node_status, pressure, specs, static_pods, status
from kubetree.kubelet import machine as machines
from kubetree.kubelet.api_objects import ApiObjects
from kubetree.kubelet.backoff import Backoff
from kubetree.kubelet.cgroups import Cgroups
from kubetree.kubelet.config import KubeletConfig
from kubetree.kubelet.context import NodeContext, NodeFacts
from kubetree.kubelet.cri.client import RuntimeClient
from kubetree.kubelet.image_collection import ImageCollection
from kubetree.kubelet.image_manager import ImageManager
from kubetree.kubelet.log_rotation import LogRotation
from kubetree.kubelet.metrics import own_metrics, probe_metrics
from kubetree.kubelet.node import NodeKeeper
from kubetree.kubelet.orphans import pod_from_runtime
from kubetree.kubelet.pod_events import PodEvents
from kubetree.kubelet.pods import Pods
from kubetree.kubelet.pressure import Pressure
from kubetree.kubelet.probes.prober import Prober
from kubetree.kubelet.runtime import Runtime
from kubetree.kubelet.server import tls
from kubetree.kubelet.server.authorization import Gate
from kubetree.kubelet.server.server import Host, KubeletServer
from kubetree.kubelet.server.stats import Stats
from kubetree.kubelet.status_publisher import StatusPublisher
from kubetree.kubelet.tokens import Tokens
from kubetree.kubelet.volumes.manager import VolumeManager
from kubetree.kubelet.volumes.plugin import Surroundings

Object = dict[str, Any]
POD, SERVICE = kind("v1", "Pod"), kind("v1", "Service")
CLEANING_PERIOD = 10.0

log = logging.getLogger("kubetree.kubelet")


class Kubelet:
    """One node's kubelet. Without a client it runs static pods alone."""

    def __init__(self, config: KubeletConfig, client: Client | None) -> None:
        self.config, self.client = config, client
        self.machine = machines.inspect(config.root_dir)
        self.addresses = config.node_ips or (machines.default_address(),)
        self.cri = RuntimeClient(config.runtime_endpoint)
        self.recorder = EventRecorder(client, "kubelet", config.node_name) if client else None
        self.events = PodEvents(self.recorder)
        self.runtime = Runtime(self.cri, self._runtime_changed)
        self.prober = Prober(self.cri, self._probe_event, self._runtime_changed)
        self.publisher = StatusPublisher(client, self._api_pod, lambda uid: None)
        self.objects, self.tokens = ApiObjects(client, self._runtime_changed), Tokens(client)
        self.cgroups = Cgroups()
        self.node = NodeKeeper(config, self.machine, self.addresses, self.cri, client, self.recorder)
        facts = NodeFacts(self.machine.memory, self.addresses, node_status.allocatable(config, self.machine), _read("/etc/hosts"))
        surroundings = Surroundings(
            self.objects.config_map, self.objects.secret, self.tokens.token, lambda pod: self.context.addresses(pod), facts.resources
        )
        self.volumes = VolumeManager(config.root_dir, surroundings)
        self.context = NodeContext(
            config=config,
            dns=config.dns,
            facts=facts,
            runtime=self.runtime,
            images=ImageManager(self.cri),
            volumes=self.volumes,
            prober=self.prober,
            cgroups=self.cgroups,
            objects=self.objects,
            tokens=self.tokens,
            events=self.events,
            publisher=self.publisher,
            restart_backoff=Backoff(),
            services=self._services,
            network_failure=lambda: self.node.network_failure,
            now=lambda: datetime.now(UTC),
            neighbours=lambda uid: [pod for pod in self.pods.active() if specs.uid(pod) != uid],
        )
        self.pods = Pods(self.context, self._admit, self._reject)
        delegated = Delegated(client, time.monotonic) if client else None
        gate = Gate(config.node_name, delegated, anonymous=config.anonymous_auth, always_allow=config.authorization_mode == "AlwaysAllow")
        stats = Stats(self.cri, config.node_name, config.root_dir, self.pods.all)
        self.server = KubeletServer(self._host(), gate, stats)
        self._pressure = Pressure(self.context, self.pods, stats)
        self._log_rotation = LogRotation(self.cri, self.runtime.running, config.log_max_size, config.log_max_files)
        self._image_collection = ImageCollection(
            self.cri,
            lambda: machines.disk_usage(config.root_dir),
            time.time,
            high=config.image_gc_high,
            low=config.image_gc_low,
            minimum_age=config.image_minimum_age,
            keep=config.sandbox_image,
        )
        self.port = config.port
        self.api_pods: Informer | None = None
        self._service_informer: Informer | None = None
        if client is not None:
            self.api_pods = Informer(client, POD, field_selector=f"spec.nodeName={config.node_name}")
            self._service_informer = Informer(client, SERVICE)
        self.static: dict[str, Object] = {}
        self._mirror_poke = asyncio.Event()
        self.manifests: static_pods.ManifestSource | None = None
        if config.manifest_path is not None:
            self.manifests = static_pods.ManifestSource(
                config.manifest_path, config.node_name, config.manifest_period, self._static_added, self._static_removed
            )

    # -- running

    async def run(self) -> None:
        """Until cancelled. Containers go on running afterwards."""
        self.config.root_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        self.config.pod_log_dir.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self.cgroups.ensure_tree, self.config.cgroup_root)
        try:
            async with asyncio.TaskGroup() as group:
                for part in (self.runtime.run(), self.prober.run(), self.node.run(), self.publisher.run(), self.pods.run()):
                    group.create_task(part)
                group.create_task(self.objects.run())
                if self.recorder is not None:
                    group.create_task(self.recorder.run())
                if self._service_informer is not None:
                    group.create_task(self._service_informer.run())
                if self.manifests is not None:
                    group.create_task(self.manifests.run())
                if self.api_pods is not None:
                    self.api_pods.on_change(self._api_changed)
                    group.create_task(self.api_pods.run())
                    group.create_task(self._keep_mirrors())
                group.create_task(self._clean_orphans())
                group.create_task(self._serve())
                for title, period, work in (
                    ("eviction", pressure.PERIOD, self._pressure.look),
                    ("log rotation", log_rotation.PERIOD, self._log_rotation.rotate_all),
                    ("image collection", image_collection.PERIOD, self._image_collection.collect),
                ):
                    group.create_task(chores.repeat(title, period, work))
        finally:
            await self.cri.close()

    async def _serve(self) -> None:
        config = self.config
        files = (config.tls_cert_file, config.tls_key_file)
        if not config.tls_cert_file:
            files = await asyncio.to_thread(tls.own_certificate, config.cert_dir, config.node_name, self.addresses)
        async with contextlib.AsyncExitStack() as stack:
            if config.healthz_port:
                await stack.enter_async_context(self.server.listen_for_health("127.0.0.1", config.healthz_port))
            context = tls.context(*files, config.client_ca_file)
            self.port = await stack.enter_async_context(self.server.listen(config.address, config.port, context))
            self.node.port = self.port
            await asyncio.get_running_loop().create_future()

    def _host(self) -> Host:
        return Host(
            client=self.cri,
            pod_by_name=self.pods.by_name,
            pods=self.pods.all,
            status=lambda pod: self.publisher.latest(specs.uid(pod)) or pod.get("status") or {},
            observe=self.runtime.observe,
            healthy=lambda: self.runtime.failure,
            configuration=lambda: {k: str(v) for k, v in dataclasses.asdict(self.config).items()},
            metrics=lambda: own_metrics(self.config.node_name, self.pods.active(), len(self.runtime.running()), self.node.health()),
            probe_metrics=lambda: probe_metrics(self.prober.counts),
        )

    # -- callbacks of the parts

    def _runtime_changed(self, uid: str) -> None:
        self.pods.poke(uid)

    def _probe_event(self, pod: Object, container: Object, type_: str, reason: str, message: str) -> None:
        self.events.pod_event(pod, type_, reason, message, container["name"])

    def _services(self) -> Sequence[Object] | None:
        if self._service_informer is None:
            return ()
        return self._service_informer.list() if self._service_informer.has_synced else None

    def _api_pod(self, pod: Object) -> Object | None:
        """The pod as the API has it: for a static pod its mirror."""
        if self.api_pods is None:
            return None
        metadata = pod["metadata"]
        found = self.api_pods.get(metadata["namespace"], metadata["name"])
        if found is None:
            return None
        if specs.is_static(pod):
            return found if static_pods.mirrors(found, pod) else None
        return found if found["metadata"]["uid"] == metadata["uid"] else None

    def _admit(self, pod: Object, others: list[Object]) -> tuple[str, str] | None:
        return admission.admit(pod, others, self.context.facts.allocatable, self.node.node)

    def _reject(self, pod: Object, reason: str, message: str) -> None:
        self.events.pod_event(pod, "Warning", reason, message)
        now = self.context.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        self.publisher.publish(pod, status.rejected(pod, reason, message, status.Inputs(now=now, previous=pod.get("status") or {})))
        self.publisher.finished(pod)

    # -- pods of the API

    def _api_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and (new is None or new["metadata"]["uid"] != old["metadata"]["uid"]):
            self._api_gone(old)
        if new is None:
            return
        if specs.is_mirror(new):
            self._mirror_poke.set()
            self._republish_static(new)
        else:
            self.pods.set(new)

    def _api_gone(self, old: Object) -> None:
        if specs.is_mirror(old):
            self._mirror_poke.set()
        else:
            self.pods.remove(specs.uid(old))
            if specs.uid(old) not in self.pods.workers:
                self.publisher.forget(specs.uid(old))

    # -- static pods

    def _static_added(self, pod: Object) -> None:
        self.static[specs.uid(pod)] = pod
        self.pods.set(pod)
        self._mirror_poke.set()

    def _static_removed(self, uid: str) -> None:
        self.static.pop(uid, None)
        self.pods.remove(uid)
        self._mirror_poke.set()

    def _republish_static(self, mirror: Object) -> None:
        for uid, pod in self.static.items():
            if pod["metadata"]["name"] == mirror["metadata"]["name"] and static_pods.mirrors(mirror, pod):
                self.publisher.again(uid)

    async def _keep_mirrors(self) -> None:
        """Each static pod has its mirror in the API, and no mirror is without its pod."""
        assert self.api_pods is not None
        await self.api_pods.synced()
        if self.manifests is not None:
            await self.manifests.read.wait()
        if self.config.register_node:
            # Mirror pods are owned by the Node.
            await self.node.registered()
        while True:
            self._mirror_poke.clear()
            try:
                await self._reconcile_mirrors(self.api_pods)
                await self._mirror_poke.wait()
            except errors.ApiError as error:
                log.warning("mirror pods: %s", error.message)
                await asyncio.sleep(1)

    async def _reconcile_mirrors(self, api_pods: Informer) -> None:
        client = self.client
        if client is None:
            return
        present = {(p["metadata"]["namespace"], p["metadata"]["name"]): p for p in api_pods.list() if specs.is_mirror(p)}
        for pod in list(self.static.values()):
            metadata = pod["metadata"]
            mirror = present.pop((metadata["namespace"], metadata["name"]), None)
            if mirror is not None and static_pods.mirrors(mirror, pod):
                continue
            if mirror is not None:
                await self._delete_mirror(client, mirror)
            try:
                await client.create(POD, static_pods.mirror_pod(pod, self.node.node), metadata["namespace"])
            except (errors.AlreadyExists, errors.NotFound):
                # The one just deleted may still be there for a moment, and a namespace may not be there yet.
                await asyncio.sleep(0.2)
                self._mirror_poke.set()
        for mirror in present.values():
            await self._delete_mirror(client, mirror)

    @staticmethod
    async def _delete_mirror(client: Client, mirror: Object) -> None:
        metadata = mirror["metadata"]
        try:
            await client.delete(POD, metadata["name"], metadata["namespace"], grace_period=0, uid=metadata["uid"])
        except (errors.NotFound, errors.Conflict):
            return

    # -- what earlier kubelets left behind

    async def _clean_orphans(self) -> None:
        """Pods that run here although nobody wants them any more are ended; directories and cgroups of such are removed."""
        if self.api_pods is not None:
            await self.api_pods.synced()
        if self.manifests is not None:
            await self.manifests.read.wait()
        while self.runtime.healthy_at is None:
            await asyncio.sleep(0.1)
        await chores.repeat("cleaning up", CLEANING_PERIOD, self._clean_once)

    async def _clean_once(self) -> None:
        for pod in await self._orphans():
            self.pods.set(pod)
            self.pods.remove(specs.uid(pod))
        await self._clean_directories()

    async def _orphans(self) -> list[Object]:
        """Pods that only the runtime knows, put together from its labels."""
        unknown = self.runtime.pod_uids - self.pods.workers.keys()
        if not unknown:
            return []
        sandboxes = (await self.cri.call("ListPodSandbox")).items
        containers = (await self.cri.call("ListContainers")).containers
        return [pod_from_runtime(uid, sandboxes, containers) for uid in unknown]

    async def _clean_directories(self) -> None:
        known = set(self.pods.workers) | self.runtime.pod_uids
        base = self.config.root_dir / "pods"
        for directory in base.iterdir() if base.exists() else ():
            if directory.name not in known:
                await self.volumes.tear_down(directory.name)
        for uid, name in self.cgroups.pods(self.config.cgroup_root).items():
            if uid not in known:
                await asyncio.to_thread(self.cgroups.remove, name)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
