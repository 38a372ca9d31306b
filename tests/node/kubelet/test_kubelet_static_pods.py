"""Static pods in real containers, without any API server."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kubelet_machine import Machine, pod, until
from kubetree.kubelet.cgroups import Cgroups
from kubetree.kubelet.resources import CgroupLimits


@pytest_asyncio.fixture(loop_scope="module")
async def kubelet(machine: Machine) -> AsyncIterator[Machine]:
    """A node whose kubelet is ended after the test, and wants no pod of it any more: the next test's ends what is left."""
    await machine.ensure_containerd()
    yield machine
    machine.stop_kubelet()
    machine.delete_pods()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_static_pod_runs_restarts_and_goes(kubelet: Machine) -> None:
    machine = kubelet
    machine.start_kubelet()
    machine.write_pod(pod("web", "echo hello from $HOSTNAME; trap 'exit 0' TERM; while true; do sleep 0.1; done"))
    first = (await until(lambda: machine.running("web"), "web runs"))["main"]
    await until(lambda: "hello from web-node-a" in machine.container_log("web", "main"), "its output is in its log")

    # It comes when the runtime has said that the container started, which its output may precede.
    (link,) = await until(lambda: list((machine.logs.parent / "containers").glob("web-node-a_default_main-*.log")), "its log has a link")
    assert link.resolve().read_text().endswith("hello from web-node-a\n"), "log collectors find it"

    machine.stop_kubelet(signal.SIGKILL)
    machine.start_kubelet()
    machine.write_pod(pod("later", "exec sleep 1000", terminationGracePeriodSeconds=0))
    await until(lambda: machine.running("later"), "the new kubelet is at work")
    assert (await machine.running("web"))["main"] == first, "a new kubelet leaves running containers alone"

    machine.delete_pod("web")
    machine.delete_pod("later")

    async def gone() -> bool:
        return not await machine.containers("web") and not await machine.containers("later")

    await until(gone, "pods end when their manifests go")
    await until(lambda: not list((machine.kubelet_root / "pods").iterdir()), "their directories are gone")
    await until(lambda: not list(machine.logs.iterdir()), "their logs are gone")
    await until(lambda: not (machine.logs.parent / "containers").exists(), "so is that of the links")


async def test_containerd_may_be_killed(kubelet: Machine) -> None:
    machine = kubelet
    machine.start_kubelet()
    shared = machine.base / "shared"
    shared.mkdir()
    made = pod("survivor", "trap 'exit 0' TERM; while true; do echo >> /host/beats; sleep 0.1; done")
    made["spec"]["volumes"] = [{"name": "host", "hostPath": {"path": str(shared)}}]
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "host", "mountPath": "/host"}]
    machine.write_pod(made)
    container = (await until(lambda: machine.running("survivor"), "it runs"))["main"]
    await machine.containerd.stop(signal.SIGKILL)
    beats = shared / "beats"
    before = beats.stat().st_size if beats.exists() else 0
    await until(lambda: beats.exists() and beats.stat().st_size > before + 2, "it goes on without containerd")
    machine.write_pod(pod("newcomer", "exec sleep 1000", terminationGracePeriodSeconds=0))
    await machine.containerd.start()
    await until(lambda: machine.running("newcomer"), "a pod written while containerd was away runs")
    assert (await machine.running("survivor"))["main"] == container, "the container was left alone"
    for name in ("survivor", "newcomer"):
        machine.delete_pod(name)

    async def gone() -> bool:
        return not await machine.containers("survivor") and not await machine.containers("newcomer")

    await until(gone, "both end")


async def test_a_pod_removed_while_the_kubelet_was_away_is_ended(kubelet: Machine) -> None:
    machine = kubelet
    machine.start_kubelet()
    machine.write_pod(pod("orphan", "trap 'exit 0' TERM; while true; do sleep 0.1; done"))
    await until(lambda: machine.running("orphan"), "it runs")
    machine.stop_kubelet(signal.SIGKILL)
    machine.delete_pod("orphan")
    machine.start_kubelet()

    async def gone() -> bool:
        return not await machine.containers("orphan")

    await until(gone, "its containers are ended and removed")
    await until(lambda: not list((machine.kubelet_root / "pods").iterdir()), "its directory is removed")


async def test_an_edited_manifest_replaces_the_pod(kubelet: Machine) -> None:
    machine = kubelet
    machine.start_kubelet()
    machine.write_pod(pod("edited", "echo one; exec sleep 1000", terminationGracePeriodSeconds=0))
    first = (await until(lambda: machine.running("edited"), "it runs"))["main"]
    machine.write_pod(pod("edited", "echo two; exec sleep 1000", terminationGracePeriodSeconds=0))

    async def replaced() -> bool:
        running = await machine.running("edited")
        return bool(running) and running["main"] != first

    await until(replaced, "the new one runs")
    await until(lambda: "two" in machine.container_log("edited", "main"), "it is as the new manifest says")


@pytest.mark.parametrize("root", ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"])
async def test_cgroups_come_and_go(root: str) -> None:
    if not Path(root, "cgroup.procs").exists() and not any(Path(root).glob("*/cgroup.procs")):
        pytest.skip(f"{root} is not mounted")
    cgroups = Cgroups(Path(root))
    top = f"/kubetree-test-{os.getpid()}"
    name = f"{top}/kubepods/burstable/podx"
    try:
        cgroups.ensure_tree(top)
        cgroups.ensure(name, CgroupLimits(512, 50_000, 64 << 20))
        assert cgroups.exists(name) and cgroups.pods(top) == {"x": name}
        sleeper = await asyncio.create_subprocess_exec("sleep", "1000")
        directory = Path(root, name[1:]) if cgroups.v2 else Path(root, "pids", name[1:])
        (directory / "cgroup.procs").write_text(str(sleeper.pid))
        assert cgroups.processes(name) == {sleeper.pid}
        if not cgroups.v2:
            assert Path(root, "memory", name[1:], "memory.limit_in_bytes").read_text() == f"{64 << 20}\n"
            assert Path(root, "cpu", name[1:], "cpu.cfs_quota_us").read_text() == "50000\n"
        await until(lambda: _removed(cgroups, name), "what runs in it is ended and it is removed")
        assert await sleeper.wait() == -signal.SIGKILL and not cgroups.exists(name)
    finally:
        cgroups.remove(top)


def _removed(cgroups: Cgroups, name: str) -> bool:
    try:
        cgroups.remove(name)
    except OSError:
        return False
    return True


async def test_pods_come_back_after_a_power_cut(kubelet: Machine) -> None:
    machine = kubelet
    machine.start_kubelet()
    volumes = [{"name": "disk", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory"}}]
    made = pod("comes-back", "echo started >> /disk/log; cat /disk/log; touch /memory/x; exec sleep 1000", volumes=volumes)
    made["spec"]["terminationGracePeriodSeconds"] = 0
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "disk", "mountPath": "/disk"}, {"name": "memory", "mountPath": "/memory"}]
    machine.write_pod(made)
    first = (await until(lambda: machine.running("comes-back"), "it runs"))["main"]
    await until(lambda: machine.container_log("comes-back", "main") == "started\n", "it has written")
    await machine.cut_power()
    await machine.containerd.start()
    machine.start_kubelet()

    async def again() -> bool:
        running = await machine.running("comes-back")
        return bool(running) and running["main"] != first

    await until(again, "it runs in a new sandbox")
    (newest, *_) = await machine.containers("comes-back")
    assert newest.annotations["io.kubernetes.container.restartCount"] == "1"
    await until(lambda: machine.container_log("comes-back", "main") == "started\nstarted\nstarted\n", "the disk's content was kept")
    machine.delete_pod("comes-back")

    async def gone() -> bool:
        return not await machine.containers("comes-back")

    await until(gone, "it ends as any other")
