"""A node's own containerd: configuration, start, stop and complete removal.

Each node has its own root, state and socket, so nothing here touches a containerd that the machine already runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kubetree.cluster.images import PAUSE_IMAGE, import_image, pause_archive
from kubetree.kubelet.cri.client import RuntimeClient, RuntimeFailure

CNI_BIN_DIRS = (Path("/opt/cni/bin"), Path("/usr/lib/cni"), Path("/usr/libexec/cni"))
_CAP_SYS_RESOURCE = 24
STOP_PATIENCE = 30.0


class ContainerdError(Exception):
    """containerd could not be started or stopped; the message says why and where to look."""


@dataclass(frozen=True, slots=True)
class ContainerdConfig:
    """Where one node's containerd keeps its things. `root` survives a reboot, `state` (socket, running tasks) does not."""

    root: Path
    state: Path
    cni_conf_dir: Path
    cni_bin_dir: Path = field(default_factory=lambda: find_cni_bin_dir())
    runtime: str = field(default_factory=lambda: find_runtime())
    snapshotter: str = "overlayfs"
    sandbox_image: str = PAUSE_IMAGE
    restrict_oom_score_adj: bool = field(default_factory=lambda: not has_capability(_CAP_SYS_RESOURCE))
    registry_config_dir: Path | None = None

    @property
    def socket(self) -> Path:
        return self.state / "containerd.sock"

    @property
    def config_file(self) -> Path:
        return self.root / "config.toml"

    @property
    def log_file(self) -> Path:
        return self.root / "containerd.log"


def has_capability(number: int) -> bool:
    """Whether this process holds a capability; containerd, started by it, can hold no more."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def find_cni_bin_dir() -> Path:
    """The directory with the `bridge` plugin. Raises ContainerdError when no package put one anywhere."""
    for directory in CNI_BIN_DIRS:
        if (directory / "bridge").exists():
            return directory
    raise ContainerdError("no CNI plugins found in " + ", ".join(map(str, CNI_BIN_DIRS)) + ": install containernetworking-plugins")


def find_runtime() -> str:
    for name in ("runc", "crun"):
        if path := shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"):
            return path
    raise ContainerdError("neither runc nor crun is installed: install the package runc")


def choose_snapshotter(root: Path) -> str:
    """`overlayfs` where the file system under `root` can carry an overlay, else `native` (copies, slow, works everywhere)."""
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        lower, upper, work, merged = (Path(scratch, name) for name in ("lower", "upper", "work", "merged"))
        for directory in (lower, upper, work, merged):
            directory.mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(merged)], capture_output=True).returncode:
            return "native"
        subprocess.run(["umount", str(merged)], check=True)
    return "overlayfs"


def render(config: ContainerdConfig) -> str:
    """config.toml (version 2, which containerd 1.6 to 2.x read)."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    tables: dict[str, Mapping[str, object]] = {
        "grpc": {"address": str(config.socket)},
        cri: {
            "sandbox_image": config.sandbox_image,
            "restrict_oom_score_adj": config.restrict_oom_score_adj,
            "stream_server_address": "127.0.0.1",
            "stream_server_port": "0",
            "enable_unprivileged_ports": True,
            "enable_unprivileged_icmp": True,
            "netns_mounts_under_state_dir": True,
        },
        f"{cri}.cni": {"bin_dir": str(config.cni_bin_dir), "conf_dir": str(config.cni_conf_dir)},
        f"{cri}.containerd": {"snapshotter": config.snapshotter, "default_runtime_name": "runc"},
        f"{cri}.containerd.runtimes.runc": {"runtime_type": "io.containerd.runc.v2"},
        f"{cri}.containerd.runtimes.runc.options": {"BinaryName": config.runtime},
        'plugins."io.containerd.internal.v1.opt"': {"path": str(config.root / "opt")},
    }
    if config.registry_config_dir:
        tables[f"{cri}.registry"] = {"config_path": str(config.registry_config_dir)}
    unused = [f"io.containerd.snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "zfs", "blockfile", "erofs")]
    lines = [
        "version = 2",
        f"root = {json.dumps(str(config.root))}",
        f"state = {json.dumps(str(config.state))}",
        f"disabled_plugins = {json.dumps(unused)}",
    ]
    for name, values in tables.items():
        lines += ["", f"[{name}]"] + [f"  {key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def command(config: ContainerdConfig) -> list[str]:
    return ["containerd", "--config", str(config.config_file)]


def write_config(config: ContainerdConfig) -> None:
    for directory in (config.root, config.state, config.cni_conf_dir):
        directory.mkdir(parents=True, exist_ok=True)
    config.root.chmod(0o711)
    config.config_file.write_text(render(config))


class Containerd:
    """One running containerd. `start` writes the configuration and waits until CRI answers; containers outlive `stop`."""

    def __init__(self, config: ContainerdConfig) -> None:
        self.config = config
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, timeout: float = 60.0) -> None:
        write_config(self.config)
        with self.config.log_file.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command(self.config), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        await wait_ready(self.config, self.process, timeout)

    async def stop(self, sig: int = signal.SIGTERM) -> None:
        """End containerd itself, by force when it has not ended after STOP_PATIENCE; `sig` SIGKILL in tests. Containers go on running
        under their shims."""
        if self.process is None:
            return
        if self.process.returncode is None:
            self.process.send_signal(sig)
        try:
            async with asyncio.timeout(STOP_PATIENCE):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        self.process = None


async def wait_ready(config: ContainerdConfig, process: asyncio.subprocess.Process | None, timeout: float) -> None:
    """Until CRI answers on the socket. Raises ContainerdError with the end of the log when it does not, or when `process` ends."""
    async with RuntimeClient(str(config.socket)) as runtime:
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            try:
                await runtime.call("Version", rpc_timeout=2)
                return
            except RuntimeFailure as error:
                ended = process is not None and process.returncode is not None
                if ended or asyncio.get_running_loop().time() > deadline:
                    tail = config.log_file.read_text(errors="replace")[-2000:] if config.log_file.exists() else ""
                    raise ContainerdError(f"containerd did not come up ({error}); the end of {config.log_file}:\n{tail}") from error
            await asyncio.sleep(0.02)


async def import_pause_image(config: ContainerdConfig) -> None:
    await import_image(str(config.socket), pause_archive(config.sandbox_image), snapshotter=config.snapshotter)


async def image_names(config: ContainerdConfig) -> set[str]:
    """Every name under which containerd's Kubernetes namespace has an image."""
    async with RuntimeClient(str(config.socket)) as runtime:
        return {tag for image in (await runtime.call("ListImages")).images for tag in image.repo_tags}


async def remove_pods(config: ContainerdConfig, patience: float = 20.0) -> None:
    """Stop and remove every sandbox and container, so that no process, mount, namespace or CNI address of a pod stays behind.

    Asks again for what containerd could not remove, and raises RuntimeFailure when it still cannot after `patience` seconds: what a
    kubelet asked for just before it was ended goes on, and a container that is being removed cannot be removed.
    """
    async with RuntimeClient(str(config.socket)) as runtime:

        async def remove(sandbox_id: str) -> RuntimeFailure | None:
            for method in ("StopPodSandbox", "RemovePodSandbox"):
                try:
                    await runtime.call(method, pod_sandbox_id=sandbox_id)
                except RuntimeFailure as error:
                    if not error.not_found:
                        return error
            return None

        deadline = asyncio.get_running_loop().time() + patience
        while sandboxes := (await runtime.call("ListPodSandbox")).items:
            failures = [failure for failure in await asyncio.gather(*(remove(sandbox.id) for sandbox in sandboxes)) if failure]
            if failures and asyncio.get_running_loop().time() > deadline:
                raise failures[0]
            await asyncio.sleep(0.1 if failures else 0)


def unmount_below(directory: Path) -> None:
    """Unmount everything mounted below `directory`, deepest first: what a killed containerd or kubelet left behind."""
    prefix = f"{directory}/"
    points = [line.split()[4].encode().decode("unicode_escape") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((p for p in points if p.startswith(prefix) or p == str(directory)), key=len, reverse=True):
        subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)


def kill_shims(config: ContainerdConfig) -> None:
    """End the shims of this containerd that outlived it, found by its own socket address on their command lines."""
    mark = str(config.socket).encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words and b"containerd-shim" in words[0] and mark in words:
            os.kill(int(entry.name), signal.SIGKILL)


def remove_files(config: ContainerdConfig) -> None:
    for directory in (config.state, config.root):
        unmount_below(directory)
        shutil.rmtree(directory, ignore_errors=True)
