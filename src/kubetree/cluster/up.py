"""Starting a cluster on this machine: what `kubetree up` does, step by step. Doing it again with a running cluster changes nothing."""

from __future__ import annotations

import asyncio
import os
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client import Client, load_kubeconfig
from kubetree.cluster import containerd, images, kubeconfig, machine, manifests, prerequisites
from kubetree.cluster.certificate_files import ensure_certificates
from kubetree.cluster.layout import Layout, Settings
from kubetree.cluster.settings import check_settings, write_settings
from kubetree.cluster.starting import SUPERVISOR, Starting, let_go

NODE, SERVICE = kind("v1", "Node"), kind("v1", "Service")
DEMO_IMAGE = "kubetree.local/demo:1"
PATIENCE = 60.0
"""Seconds that one step may take before `up` gives up and says where to look."""

Say = Callable[[str], None]


class UpError(Exception):
    """The cluster did not come up; the message says what was waited for and which log to read."""


def containerd_config(layout: Layout) -> containerd.ContainerdConfig:
    """The node's own containerd, below the layout's folders."""
    snapshotter = containerd.choose_snapshotter(layout.containerd)
    return containerd.ContainerdConfig(
        root=layout.containerd, state=layout.containerd_state, cni_conf_dir=layout.cni, snapshotter=snapshotter
    )


def prepare(layout: Layout, settings: Settings, say: Say) -> containerd.ContainerdConfig:
    """Everything that must be there before a process starts: packages, routes, certificates, configuration files."""
    if os.geteuid() != 0:
        raise UpError("a cluster's node runs containers and changes routes: run this as root (sudo)")
    check_settings(settings)
    prerequisites.ensure(say)
    for folder, mode in ((layout.data, 0o711), (layout.run, 0o755), (layout.log, 0o750), (layout.manifests, 0o700), (layout.cni, 0o755)):
        folder.mkdir(parents=True, exist_ok=True, mode=mode)
    layout.database.parent.mkdir(exist_ok=True, mode=0o700)
    write_settings(layout, settings)
    machine.prepare(layout, settings)
    ensure_certificates(layout, settings, datetime.now(UTC))
    config = containerd_config(layout)
    containerd.write_config(config)
    return config


async def up(layout: Layout, settings: Settings, say: Say, starting: Starting | None, *, demo: bool = True) -> None:
    """Brings the cluster up and, unless told otherwise, its demo. Raises UpError and what the steps raise.

    `starting` is the supervisor that `start_early` gave.
    """
    config = await asyncio.to_thread(prepare, layout, settings, say)
    say("machine ready: packages, routes, certificates")
    if starting is not None:
        let_go(starting)
    async with Client(load_kubeconfig(layout.admin_kubeconfig)) as client:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_until_it_ends(starting, layout.log_file(SUPERVISOR)))
            group.create_task(_import_images(config, say, demo=demo))
            await _within("the API server", layout.log_file("apiserver"), client.ready(attempts=int(PATIENCE / 0.02), interval=0.02))
            say(f"API server ready at {settings.server}")
            addons = manifests.read("addons/network.yaml")
            await _until("its namespaces", layout.log_file("apiserver"), lambda: _applied(client, addons))
            await _until("the node to be Ready", layout.log_file("kubelet"), lambda: _node_ready(client, settings.node_name))
            say(f"node {settings.node_name} is Ready")
            watching.cancel()
        path = kubeconfig.merge_into_user_config(yaml.safe_load(layout.admin_kubeconfig.read_text()))
        say(f"kubectl's context is now {settings.name} ({path})")
        if demo:
            await _until("the demo's manifests", layout.log_file("apiserver"), lambda: _applied(client, manifests.read("demo/web.yaml")))
            address = (await client.get(SERVICE, "web", "default"))["spec"]["clusterIP"]
            await _until("the demo to answer", layout.log_file("proxy"), lambda: asyncio.to_thread(_answers, f"http://{address}/"))
            say(f"the demo answers at http://{address}/ and http://{settings.node_ip}:30080/")


async def _until_it_ends(starting: Starting | None, log: Path) -> None:
    """Raises UpError as soon as the supervisor ends, with its last words: nothing else need be waited for then."""
    while starting is not None:
        if (code := starting.poll()) is not None:
            words = log.read_text(errors="replace").strip()[-1500:] if log.exists() else "it said why above"
            raise UpError(f"the supervisor ended with exit code {code}:\n{words}")
        await asyncio.sleep(0.1)


async def _import_images(config: containerd.ContainerdConfig, say: Say, *, demo: bool) -> None:
    await containerd.wait_ready(config, None, PATIENCE)
    have = await containerd.image_names(config)
    if config.sandbox_image not in have:
        await containerd.import_pause_image(config)
    if demo and DEMO_IMAGE not in have:
        await images.import_image(str(config.socket), images.busybox_archive(DEMO_IMAGE), snapshotter=config.snapshotter)
    say("container engine and images ready")


async def _applied(client: Client, objects: list[dict[str, Any]]) -> bool:
    """Applies, unless the server is not that far yet (a namespace or an allocator still to come)."""
    try:
        await manifests.apply(client, objects)
    except (errors.NotFound, errors.Forbidden, errors.ServiceUnavailable, errors.InternalError):
        return False
    return True


async def _node_ready(client: Client, name: str) -> bool:
    try:
        node = await client.get(NODE, name)
    except (errors.NotFound, errors.ServiceUnavailable):
        return False
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


async def _within(what: str, log: Path, work: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            await work
    except (TimeoutError, errors.ApiError) as error:
        raise UpError(f"waited {PATIENCE:.0f} s for {what}: {error}; see {log}") from error


async def _until(what: str, log: Path, check: Callable[[], Awaitable[bool]]) -> None:
    """Asks again and again, ever more slowly, until `check` says yes."""

    async def ask() -> None:
        async for _ in _pauses():
            if await check():
                return

    await _within(what, log, ask())


async def _pauses() -> AsyncIterator[None]:
    pause = 0.02
    while True:
        yield
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, 0.25)
