"""Starting and stopping single containers: image, configuration, creation, hooks, and the events that tell of each."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kubetree.kubelet import cri_config, environment, hooks, hosts, lifecycle, log_links, specs
from kubetree.kubelet.context import NodeContext
from kubetree.kubelet.cri.client import RuntimeFailure
from kubetree.kubelet.cri.messages import Propagation
from kubetree.kubelet.cri_config import Mount
from kubetree.kubelet.downward import PodAddresses
from kubetree.kubelet.environment import ConfigError
from kubetree.kubelet.image_manager import ImageFailure
from kubetree.kubelet.lifecycle import KillReason
from kubetree.kubelet.runtime_state import ContainerRecord, PodRuntime, State
from kubetree.kubelet.volumes import subpath
from kubetree.kubelet.volumes.plugin import Volume, VolumeError

Object = dict[str, Any]

MINIMUM_GRACE = 2
"""Seconds that every container gets between SIGTERM and SIGKILL."""
POST_START_TIMEOUT = 600.0
_PROPAGATIONS = {
    "None": Propagation.PRIVATE,
    "HostToContainer": Propagation.HOST_TO_CONTAINER,
    "Bidirectional": Propagation.BIDIRECTIONAL,
}


class StartFailure(Exception):
    """A container could not be started: `reason` and `message` are its waiting state, `retry_at` seconds since 1970 or None."""

    def __init__(self, reason: str, message: str, retry_at: float | None = None) -> None:
        super().__init__(message)
        self.reason, self.message, self.retry_at = reason, message, retry_at


class Containers:
    def __init__(self, context: NodeContext) -> None:
        self._context = context

    async def start(
        self,
        pod: Object,
        container: Object,
        sandbox_id: str,
        sandbox_config: Object,
        runtime: PodRuntime,
        volumes: Mapping[str, Volume],
        pull_secrets: Sequence[Object],
        pod_ips: tuple[str, ...],
    ) -> None:
        """Pull, create and start one container and run its postStart hook. Raises StartFailure."""
        context = self._context
        client, name = context.runtime.client, container["name"]

        def report(type_: str, reason: str, message: str) -> None:
            context.events.pod_event(pod, type_, reason, message, name)

        try:
            policy = container.get("imagePullPolicy") or "IfNotPresent"
            image = await context.images.ensure(specs.uid(pod), container["image"], policy, pull_secrets, sandbox_config, report)
        except ImageFailure as error:
            report("Warning", "Failed", f"Error: {error.reason}")
            raise StartFailure(error.reason, error.message, error.retry_at) from error

        restart_count = self._restart_count(pod, name, runtime)
        try:
            variables = await self.environment(pod, container, PodAddresses(pod_ips, context.facts.host_ips))
            mounts = await self._mounts(pod, container, restart_count, volumes, variables, pod_ips)
            config = cri_config.container_config(
                pod,
                container,
                image_ref=image.ref,
                user=image.user,
                restart_count=restart_count,
                variables=variables,
                mounts=mounts,
                memory_capacity=context.facts.memory_capacity,
                cgroup_v2=context.cgroups.v2,
                seccomp_root=context.config.seccomp_root,
                target_id=self._target(container, runtime),
            )
        except (ConfigError, VolumeError, OSError) as error:
            report("Warning", "Failed", f"Error: {error}")
            raise StartFailure("CreateContainerConfigError", str(error)) from error
        if context.config.seccomp_default and not _chooses_seccomp(pod, container):
            config["linux"]["security_context"]["seccomp"] = {"profile_type": 0}

        try:
            answer = await client.call("CreateContainer", pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox_config)
        except RuntimeFailure as error:
            report("Warning", "Failed", f"Error: {error.message}")
            raise StartFailure("CreateContainerError", error.message) from error
        report("Normal", "Created", "Container created")
        try:
            await client.call("StartContainer", container_id=answer.container_id)
        except RuntimeFailure as error:
            report("Warning", "Failed", f"Error: {error.message}")
            raise StartFailure("RunContainerError", error.message) from error
        report("Normal", "Started", "Container started")
        log = Path(sandbox_config["log_directory"], config["log_path"])
        metadata, root = pod["metadata"], context.config.pod_log_dir
        names = {"pod": metadata["name"], "namespace": metadata["namespace"], "container": name}
        log_links.make(root, log, container_id=answer.container_id, **names)
        await self._post_start(pod, container, answer.container_id, pod_ips)

    async def _post_start(self, pod: Object, container: Object, container_id: str, pod_ips: tuple[str, ...]) -> None:
        handler = (container.get("lifecycle") or {}).get("postStart")
        if not handler:
            return
        context, ip = self._context, next(iter(pod_ips), "")
        try:
            await hooks.run(context.runtime.client, pod, container, container_id, handler, ip, POST_START_TIMEOUT)
        except hooks.HookFailure as error:
            context.events.pod_event(pod, "Warning", "FailedPostStartHook", "PostStartHook failed", container["name"])
            record = ContainerRecord(container_id, container["name"], State.RUNNING)
            await self.stop(pod, record, "FailedPostStartHook", KillReason.POST_START_HOOK)
            raise StartFailure("PostStartHookError", str(error)) from error

    # -- configuration

    async def environment(self, pod: Object, container: Object, addresses: PodAddresses) -> dict[str, str]:
        """The container's variables. Raises ConfigError, VolumeError."""
        context, namespace = self._context, pod["metadata"]["namespace"]
        services = context.services()
        if services is None and not specs.is_static(pod):
            raise ConfigError("services have not yet been read at least once, cannot construct envvars")
        links = pod["spec"].get("enableServiceLinks", True)
        config_maps, secrets = _references(container)
        found_maps = {name: await context.objects.config_map(namespace, name) for name in config_maps}
        found_secrets = {name: await context.objects.secret(namespace, name) for name in secrets}
        sources = environment.Sources(found_maps.get, found_secrets.get, addresses, context.facts.resources)
        return environment.build(pod, container, environment.service_variables(namespace, services or (), links), sources)

    async def _mounts(
        self,
        pod: Object,
        container: Object,
        restart_count: int,
        volumes: Mapping[str, Volume],
        variables: Mapping[str, str],
        pod_ips: tuple[str, ...],
    ) -> list[Mount]:
        mounts: list[Mount] = []
        for index, entry in enumerate(container.get("volumeMounts") or ()):
            volume = volumes.get(entry["name"])
            if volume is None:
                raise VolumeError(f'cannot find volume "{entry["name"]}" to mount into container "{container["name"]}"')
            path = await self._mount_source(pod, container, index, entry, volume, variables)
            mount_path = entry["mountPath"]
            mounts.append(
                Mount(
                    mount_path if mount_path.startswith("/") else f"/{mount_path}",
                    str(path),
                    bool(entry.get("readOnly")) or volume.readonly,
                    _PROPAGATIONS[entry.get("mountPropagation") or "None"],
                )
            )
        taken = {mount.container_path for mount in mounts}
        if "/etc/hosts" not in taken and (pod_ips or specs.is_host_network(pod)):
            mounts.append(Mount("/etc/hosts", str(self._hosts_file(pod, pod_ips))))
        message_path = container.get("terminationMessagePath")
        if message_path and message_path not in taken:
            mounts.append(Mount(message_path, str(self._termination_log(pod, container, restart_count))))
        return mounts

    async def _mount_source(
        self, pod: Object, container: Object, index: int, entry: Object, volume: Volume, variables: Mapping[str, str]
    ) -> Path:
        below = entry.get("subPath") or ""
        if entry.get("subPathExpr"):
            below = environment.expand_strict(entry["subPathExpr"], variables)
        if not below:
            return volume.path
        directory = self._context.volumes.pod_directory(specs.uid(pod))
        target: Path = directory / "volume-subpaths" / entry["name"] / container["name"] / str(index)
        prepared: Path = await asyncio.to_thread(
            subpath.prepare, volume.path, below, target, volume_name=entry["name"], container=container["name"]
        )
        return prepared

    def _hosts_file(self, pod: Object, pod_ips: Sequence[str]) -> Path:
        path = self._context.volumes.pod_directory(specs.uid(pod)) / "etc-hosts"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = hosts.hosts_file(pod, pod_ips, self._context.dns.cluster_domain, self._context.facts.node_hosts)
        # Containers have the file mounted: it is rewritten in place, never replaced.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            path.chmod(0o644)
        return path

    def _termination_log(self, pod: Object, container: Object, restart_count: int) -> Path:
        path: Path = self._context.volumes.pod_directory(specs.uid(pod)) / "containers" / container["name"] / f"{restart_count:08x}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        path.chmod(0o666)
        return path

    def _restart_count(self, pod: Object, name: str, runtime: PodRuntime) -> int:
        """One more than the last instance's; when the runtime forgot it, the log files still tell."""
        record = runtime.latest(name)
        if record is not None:
            return record.restart_count + 1
        directory = Path(cri_config.pod_log_directory(str(self._context.config.pod_log_dir), pod), name)
        numbers = [int(file.name.split(".")[0]) for file in directory.glob("*.log*") if file.name.split(".")[0].isdigit()]
        return max(numbers) + 1 if numbers else 0

    @staticmethod
    def _target(container: Object, runtime: PodRuntime) -> str:
        """The container whose process namespace an ephemeral container joins. Raises ConfigError."""
        target = container.get("targetContainerName")
        if not target:
            return ""
        record = runtime.latest(target)
        if record is None or record.state is not State.RUNNING:
            raise ConfigError(f'unable to find target container "{target}"')
        return record.id

    # -- stopping

    async def stop(
        self,
        pod: Object,
        record: ContainerRecord,
        message: str,
        reason: KillReason = KillReason.UNKNOWN,
        grace: int | None = None,
        turn: asyncio.Event | None = None,
    ) -> None:
        """preStop hook, SIGTERM, and SIGKILL after the grace period. `turn` is waited for as long as the period lasts.

        Raises RuntimeFailure.
        """
        context = self._context
        container = specs.find_container(pod, record.name) or {"name": record.name}
        context.events.pod_event(pod, "Normal", "Killing", message or f"Stopping container {record.name}", record.name)
        allowed = lifecycle.kill_grace_period(pod, container, reason) if grace is None else grace
        deadline = time.monotonic() + allowed
        handler = (container.get("lifecycle") or {}).get("preStop")
        if handler and allowed > 0:
            ip = next(iter(context.addresses(pod).pod_ips), "")
            try:
                await hooks.run(context.runtime.client, pod, container, record.id, handler, ip, allowed)
            except hooks.HookFailure:
                context.events.pod_event(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", record.name)
        if turn is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await turn.wait()
        remaining = max(MINIMUM_GRACE, int(deadline - time.monotonic() + 0.5))
        try:
            await context.runtime.client.call("StopContainer", rpc_timeout=remaining + 120, container_id=record.id, timeout=remaining)
        except RuntimeFailure as error:
            if not error.not_found:
                raise


def _references(container: Object) -> tuple[set[str], set[str]]:
    """Names of the config maps and secrets that a container's variables come from."""
    maps: set[str] = set()
    secrets: set[str] = set()
    for entry in container.get("envFrom") or ():
        if entry.get("configMapRef"):
            maps.add(entry["configMapRef"]["name"])
        if entry.get("secretRef"):
            secrets.add(entry["secretRef"]["name"])
    for entry in container.get("env") or ():
        source = entry.get("valueFrom") or {}
        if source.get("configMapKeyRef"):
            maps.add(source["configMapKeyRef"]["name"])
        if source.get("secretKeyRef"):
            secrets.add(source["secretKeyRef"]["name"])
    return maps, secrets


def _chooses_seccomp(pod: Object, container: Object) -> bool:
    return bool(cri_config.effective_security_context(pod, container).get("seccompProfile"))
