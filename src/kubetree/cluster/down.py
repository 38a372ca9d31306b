"""Ending a cluster, also one that crashed: no process, mount, namespace, link, rule, cgroup or file is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from kubetree.cluster import containerd, kubeconfig, machine, pidfile, supervisor
from kubetree.cluster.components import COMPONENTS
from kubetree.cluster.layout import CGROUP, Layout, Settings
from kubetree.cluster.up import containerd_config
from kubetree.kernel.nftables import Nftables
from kubetree.kubelet.cri.client import RuntimeFailure
from kubetree.network.cni import NETWORK_NAME
from kubetree.network.main import cleanup as remove_network
from kubetree.proxy.main import cleanup as remove_proxy_rules

Say = Callable[[str], None]
log = logging.getLogger("kubetree.cluster")
CNI_CACHE = Path("/var/lib/cni/results")
"""Where containerd's CNI library remembers the networks of running pods; the path is its own."""
CGROUP_ROOT = Path("/sys/fs/cgroup")
CGROUP_PATIENCE = 5.0


async def down(layout: Layout, settings: Settings, say: Say, *, keep_data: bool = False) -> None:
    """Takes the cluster apart in the order that lets each part go cleanly; what is missing already is passed over."""
    _end_processes(layout, but={"containerd"})
    say("components ended")
    config = containerd_config(layout)
    await _remove_pods(layout, config)
    say("pods removed")
    containerd.kill_shims(config)
    for folder in (layout.kubelet, layout.containerd_state, layout.containerd):
        containerd.unmount_below(folder)
    await asyncio.to_thread(remove_proxy_rules)
    await asyncio.to_thread(remove_network, [settings.cluster_cidr], [settings.dns_ip], layout.cni)
    machine.restore(layout, settings)
    remove_cgroups(CGROUP)
    forget_networks(CNI_CACHE)
    kubeconfig.remove_from_user_config(settings.name)
    shutil.rmtree(layout.run, ignore_errors=True)
    shutil.rmtree(layout.log, ignore_errors=True)
    if keep_data:
        shutil.rmtree(layout.kubelet, ignore_errors=True)
    else:
        shutil.rmtree(layout.data, ignore_errors=True)
    say("everything removed" + (f" but the data in {layout.data}" if keep_data else ""))


def _end_processes(layout: Layout, but: set[str]) -> None:
    """The supervisor first, since it would start the others again."""
    for name in (supervisor.NAME, *(component.name for component in reversed(COMPONENTS))):
        if name not in but and (process := pidfile.find(layout.pids, name)) is not None:
            process.end()


async def _remove_pods(layout: Layout, config: containerd.ContainerdConfig) -> None:
    """Has containerd remove the pods; started once more for that if it is gone. What it cannot remove is ended with its cgroup."""
    if not config.root.exists():
        return
    running = pidfile.find(layout.pids, "containerd")
    own = containerd.Containerd(config)
    try:
        if running is None:
            await own.start()
        async with asyncio.timeout(60):
            await containerd.remove_pods(config)
    except* (containerd.ContainerdError, RuntimeFailure, OSError) as failures:
        log.warning("containerd did not remove the pods: %s", failures.exceptions[0])
    finally:
        await own.stop()
        if running is not None:
            running.end()


def forget_networks(cache: Path) -> None:
    """Removes what the CNI library remembers of this cluster's pods, and its folders where another engine has nothing in them."""
    for ours in cache.glob(f"{NETWORK_NAME}-*"):
        sandbox = ours.name.split("-")[1]
        for result in cache.glob(f"*-{sandbox}-*"):
            result.unlink()
    for folder in (cache, cache.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()


def remove_cgroups(name: str) -> None:
    """Removes the cgroup `name` and all below it in every hierarchy. Raises MachineError when one does not go."""
    for hierarchy in (CGROUP_ROOT, *CGROUP_ROOT.iterdir()):
        top = hierarchy / name
        if not top.is_dir():
            continue
        below = sorted((path for path in top.rglob("*") if path.is_dir()), key=lambda path: len(path.parts), reverse=True)
        for folder in (*below, top):
            _remove_cgroup(folder)


def _remove_cgroup(folder: Path) -> None:
    """Ends what still runs in it, such as the containers of a killed shim, and waits until it is gone."""
    deadline = time.monotonic() + CGROUP_PATIENCE
    while True:
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise machine.MachineError(f"cgroup {folder} does not go: {error.strerror}") from error
        for pid in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.02)


def leftovers(layout: Layout) -> list[str]:
    """What of a cluster is still on the machine: the check that `down` did its work."""
    found = [f"file {path}" for path in (layout.data, layout.run, layout.log) if path.exists()]
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found += [f"mount {mount}" for mount in mounts if any(Path(mount).is_relative_to(root) for root in (layout.data, layout.run))]
    found += [f"cgroup {path}" for path in (CGROUP_ROOT / CGROUP, *(h / CGROUP for h in CGROUP_ROOT.iterdir())) if path.is_dir()]
    links = machine.ip("-brief", "link").splitlines()
    found += [f"link {line.split()[0]}" for line in links if line.startswith("kubetree")]
    found += [f"nft {table}" for table in Nftables().run("list tables").splitlines() if "kubetree" in table or "kube-proxy" in table]
    return found
