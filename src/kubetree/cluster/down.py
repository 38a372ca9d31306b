"""Ending a cluster, also one that crashed: no process, mount, namespace, link, rule, cgroup or file is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from kubetree.cluster import containerd, kubeconfig, machine, pidfile, supervisor
from kubetree.cluster.components import COMPONENTS
from kubetree.cluster.layout import CGROUP, Layout, Settings
from kubetree.cluster.up import containerd_config
from kubetree.kernel.nftables import Nftables
from kubetree.network.main import cleanup as remove_network
from kubetree.proxy.main import cleanup as remove_proxy_rules

Say = Callable[[str], None]
CNI_CACHE = (Path("/var/lib/cni/results"), Path("/var/lib/cni"))
"""Where containerd's CNI library remembers the networks of running pods; the path is its own."""
CGROUP_ROOT = Path("/sys/fs/cgroup")


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
    remove_empty(CNI_CACHE)
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
    """Has containerd remove the pods; started once more for that if it is gone."""
    if not config.root.exists():
        return
    running = pidfile.find(layout.pids, "containerd")
    own = containerd.Containerd(config)
    if running is None:
        await own.start()
    try:
        async with asyncio.timeout(60):
            await containerd.remove_pods(config)
    finally:
        await own.stop()
        if running is not None:
            running.end()


def remove_empty(folders: Sequence[Path]) -> None:
    """Removes folders that nothing is in any more, the innermost first: another engine's results stay."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def remove_cgroups(name: str) -> None:
    """Removes the cgroup `name` and all below it in every hierarchy. One that still holds a process stays: that is a defect."""
    for hierarchy in (CGROUP_ROOT, *CGROUP_ROOT.iterdir()):
        top = hierarchy / name
        if not top.is_dir():
            continue
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), key=lambda path: len(path.parts), reverse=True):
            folder.rmdir()
        top.rmdir()


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
