"""Static pods in real containers, without any API server."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator

import pytest

from kubelet_machine import Machine, pod, until


@pytest.fixture(autouse=True)
def end_the_kubelet(machine: Machine) -> Iterator[None]:
    yield
    machine.stop_kubelet()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_static_pod_runs_restarts_and_goes(machine: Machine) -> None:
    machine.start_kubelet()
    machine.write_pod(pod("web", "echo hello from $HOSTNAME; trap 'exit 0' TERM; while true; do sleep 0.1; done"))
    first = (await until(lambda: machine.running("web"), "web runs"))["main"]
    await until(lambda: "hello from web-node-a" in machine.container_log("web", "main"), "its output is in its log")

    machine.stop_kubelet(signal.SIGKILL)
    machine.start_kubelet()
    assert (await machine.running("web"))["main"] == first, "a new kubelet leaves running containers alone"

    machine.delete_pod("web")

    async def gone() -> bool:
        return not await machine.containers("web")

    await until(gone, "the pod ends when its manifest goes")
    assert not list((machine.kubelet_root / "pods").iterdir()), "its directory is gone"
    await until(lambda: not list(machine.logs.iterdir()), "its logs are gone")


async def test_containerd_may_be_killed(machine: Machine) -> None:
    machine.start_kubelet()
    machine.write_pod(pod("survivor", "trap 'exit 0' TERM; while true; do date +%s >> /tmp/beat; sleep 0.1; done"))
    container = (await until(lambda: machine.running("survivor"), "it runs"))["main"]
    await machine.containerd.stop(signal.SIGKILL)
    machine.write_pod(pod("newcomer", "sleep 1000", terminationGracePeriodSeconds=0))
    await machine.containerd.start()
    await until(lambda: machine.running("newcomer"), "a pod written while containerd was away runs")
    assert (await machine.running("survivor"))["main"] == container, "the container was left alone"
    beats = [int(line) for line in (await machine.execute(container, "cat", "/tmp/beat")).split()]
    assert max(later - earlier for earlier, later in itertools.pairwise(beats)) <= 1, "it never paused"
    for name in ("survivor", "newcomer"):
        machine.delete_pod(name)

    async def gone() -> bool:
        return not await machine.containers("survivor") and not await machine.containers("newcomer")

    await until(gone, "both end")


async def test_a_pod_removed_while_the_kubelet_was_away_is_ended(machine: Machine) -> None:
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


async def test_an_edited_manifest_replaces_the_pod(machine: Machine) -> None:
    machine.start_kubelet()
    machine.write_pod(pod("edited", "echo one; exec sleep 1000", terminationGracePeriodSeconds=0))
    first = (await until(lambda: machine.running("edited"), "it runs"))["main"]
    machine.write_pod(pod("edited", "echo two; exec sleep 1000", terminationGracePeriodSeconds=0))

    async def replaced() -> bool:
        running = await machine.running("edited")
        return bool(running) and running["main"] != first

    await until(replaced, "the new one runs")
    assert "two" in machine.container_log("edited", "main")
    machine.delete_pod("edited")
