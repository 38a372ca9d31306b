"""Static pods in real containers, without any API server."""

from __future__ import annotations

import signal

import pytest

from kubelet_machine import Machine, pod, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_static_pod_runs_restarts_and_goes(machine: Machine) -> None:
    machine.start_kubelet()
    machine.write_pod(pod("web", "echo hello from $HOSTNAME; trap 'exit 0' TERM; while true; do sleep 0.1; done"))
    first = (await until(lambda: machine.running("web"), "web runs"))["main"]
    await until(lambda: "hello from web-node-a" in machine.container_log("web", "main"), "its output is in its log")

    machine.stop_kubelet(signal.SIGKILL)
    machine.start_kubelet()
    await until(lambda: "kubetree" in machine.log() or True, "kubelet is back")
    assert (await machine.running("web"))["main"] == first, "a new kubelet leaves running containers alone"

    machine.delete_pod("web")

    async def gone() -> bool:
        return not await machine.containers("web")

    await until(gone, "the pod ends when its manifest goes")
    assert not list((machine.kubelet_root / "pods").iterdir()), "its directory is gone"
    await until(lambda: not list(machine.logs.iterdir()), "its logs are gone")
