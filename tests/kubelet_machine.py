"""A containerd of this test run's own, with a bridge network, and kubelets as processes beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from kubetree.cluster.containerd import (
    Containerd,
    ContainerdConfig,
    choose_snapshotter,
    import_pause_image,
    kill_shims,
    remove_files,
    remove_pods,
)
from kubetree.cluster.images import busybox_archive, import_image
from kubetree.kubelet.cgroups import Cgroups
from kubetree.kubelet.cri.client import RuntimeClient
from kubetree.kubelet.mounts import unmount_below

Object = dict[str, Any]

SOURCE = Path(__file__).resolve().parents[1] / "src"
BUSYBOX = "docker.io/library/busybox:1"


class Machine:
    """One node: containerd below `base`, pods on the bridge `bridge` in `subnet`, cgroups below /<cgroup>."""

    def __init__(self, base: Path, number: int) -> None:
        self.base = base
        self.bridge, self.subnet, self.cgroup = f"ktk{number}", f"10.23{number}.0.0/24", f"kubetree-test-{number}"
        self.config = ContainerdConfig(
            root=base / "containerd",
            state=Path(f"/run/kubetree-kubelet-{number}"),
            cni_conf_dir=base / "cni",
            snapshotter=choose_snapshotter(base),
        )
        self.containerd = Containerd(self.config)
        self.manifests = base / "manifests"
        self.kubelet_root, self.logs = base / "kubelet", base / "pods-log"
        self.kubelet: subprocess.Popen[bytes] | None = None

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], capture_output=True, check=False)

    async def start(self) -> None:
        self._ip("route", "replace", "unreachable", self.subnet, "metric", "4000")
        self.manifests.mkdir(parents=True, exist_ok=True)
        self.config.cni_conf_dir.mkdir(parents=True, exist_ok=True)
        (self.config.cni_conf_dir / "10-test.conflist").write_text(json.dumps(self._network()))
        await self.containerd.start()
        await import_pause_image(self.config)
        await import_image(str(self.config.socket), busybox_archive(BUSYBOX), snapshotter=self.config.snapshotter)

    def _network(self) -> Object:
        ranges = [[{"subnet": self.subnet}]]
        ipam = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}], "dataDir": str(self.base / "ipam")}
        bridge = {"type": "bridge", "bridge": self.bridge, "isGateway": True, "hairpinMode": True, "ipam": ipam}
        return {"cniVersion": "0.4.0", "name": self.bridge, "plugins": [bridge, {"type": "loopback"}][:1]}

    async def ensure_containerd(self) -> None:
        """Starts containerd unless it runs: a test may have failed after it had killed it."""
        if self.containerd.process is None or self.containerd.process.returncode is not None:
            await self.containerd.start()

    async def remove(self) -> None:
        """Nothing of it is in the next one's way, also when containerd fails."""
        self.stop_kubelet()
        try:
            await self.ensure_containerd()
            await remove_pods(self.config)
        finally:
            await self.containerd.stop()
            kill_shims(self.config)
            unmount_below(self.kubelet_root)
            remove_files(self.config)
            await until(self._cgroup_removed, "its cgroup is gone")
            self._ip("link", "delete", self.bridge)
            self._ip("route", "delete", "unreachable", self.subnet, "metric", "4000")
            shutil.rmtree(self.base, ignore_errors=True)

    def _cgroup_removed(self) -> bool:
        """Whether it is gone, with what ran in it; killed processes take a moment."""
        with contextlib.suppress(OSError):
            Cgroups().remove(f"/{self.cgroup}")
            return True
        return False

    async def cut_power(self) -> None:
        """Everything that a reboot ends is ended, and what lies below /run is gone."""
        self.stop_kubelet()
        await self.containerd.stop(signal.SIGKILL)
        kill_shims(self.config)
        for pid in Cgroups().processes(f"/{self.cgroup}"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        unmount_below(self.config.state)
        unmount_below(self.kubelet_root)
        shutil.rmtree(self.config.state)

    # -- kubelets

    def kubelet_command(self, *extra: str) -> list[str]:
        return [
            sys.executable, "-m", "kubetree.kubelet.main",
            "--hostname-override=node-a", "--node-ip=127.0.0.1", "--address=127.0.0.1", "--port=0",
            f"--root-dir={self.kubelet_root}", f"--pod-log-dir={self.logs}", f"--pod-manifest-path={self.manifests}",
            f"--container-runtime-endpoint=unix://{self.config.socket}", f"--cgroup-root=/{self.cgroup}", "--file-check-frequency=100ms",
            *extra,
        ]  # fmt: skip

    def start_kubelet(self, *extra: str) -> None:
        environment = os.environ | {"PYTHONPATH": str(SOURCE)}
        log = (self.base / "kubelet.log").open("ab")
        self.kubelet = subprocess.Popen(self.kubelet_command(*extra), stdout=log, stderr=log, env=environment, start_new_session=True)

    def stop_kubelet(self, sig: int = signal.SIGKILL) -> None:
        if self.kubelet is not None:
            self.kubelet.send_signal(sig)
            self.kubelet.wait()
            self.kubelet = None

    def log(self) -> str:
        path = self.base / "kubelet.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # -- static pods and what the runtime has

    def write_pod(self, pod: Object) -> None:
        # Renamed into place, so that no half of it is ever read.
        target = self.manifests / f"{pod['metadata']['name']}.yaml"
        scratch = self.base / "manifest.tmp"
        scratch.write_text(yaml.safe_dump(pod))
        scratch.rename(target)

    def delete_pod(self, name: str) -> None:
        (self.manifests / f"{name}.yaml").unlink()

    def delete_pods(self) -> None:
        for manifest in self.manifests.iterdir():
            manifest.unlink()

    async def containers(self, pod_name: str) -> list[Any]:
        """CRI containers of a static pod, newest first."""
        async with RuntimeClient(str(self.config.socket)) as runtime:
            listed = (await runtime.call("ListContainers")).containers
        mine = [c for c in listed if c.labels["io.kubernetes.pod.name"] == f"{pod_name}-node-a"]
        return sorted(mine, key=lambda c: -c.created_at)

    async def running(self, pod_name: str) -> dict[str, str]:
        """Ids of running containers by container name."""
        return {c.metadata.name: c.id for c in await self.containers(pod_name) if c.state == 1}

    async def execute(self, container_id: str, *command: str) -> str:
        async with RuntimeClient(str(self.config.socket)) as runtime:
            answer = await runtime.call("ExecSync", container_id=container_id, cmd=command, timeout=30)
        return (answer.stdout + answer.stderr).decode()

    def container_log(self, pod_name: str, container: str) -> str:
        files = sorted(self.logs.glob(f"default_{pod_name}-node-a_*/{container}/*.log"))
        return "".join(line.split(" ", 3)[3] for file in files for line in file.read_text().splitlines(keepends=True))


async def until(condition: Callable[[], Any], what: str, timeout: float = 40.0) -> Any:
    """The first true answer of an async or plain callable; fails the test when there is none in time.

    The time is what a pod may take to start on a machine whose processors several others want as well: it is spent only by failures.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        await asyncio.sleep(0.05)


def pod(name: str, *command: str, **spec: Any) -> Object:
    """A static pod with one busybox container `main`; a shell runs `command`."""
    container: Object = {"name": "main", "image": BUSYBOX, "command": ["sh", "-c", *command]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container], **spec}}
