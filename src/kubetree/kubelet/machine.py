"""What this machine is: its size, its kernel, its addresses. Reads /proc and /etc; changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes and whole CPUs."""

    cpus: int
    memory: int
    disk: int
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel: str
    os_image: str
    architecture: str
    swap: int


def inspect(root_dir: Path) -> Machine:
    memory = _meminfo()
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory=memory.get("MemTotal", 0),
        disk=shutil.disk_usage(_existing(root_dir)).total,
        machine_id=_first("/etc/machine-id", "/var/lib/dbus/machine-id").replace("-", ""),
        system_uuid=_first("/sys/class/dmi/id/product_uuid", "/proc/device-tree/vm,uuid", "/etc/machine-id"),
        boot_id=_first("/proc/sys/kernel/random/boot_id"),
        kernel=platform.release(),
        os_image=_os_release().get("PRETTY_NAME", "Linux"),
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        swap=memory.get("SwapTotal", 0),
    )


def _meminfo() -> dict[str, int]:
    values: dict[str, int] = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        values[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
    return values


def memory_available() -> int:
    return _meminfo().get("MemAvailable", 0)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def disk_usage(path: Path) -> tuple[int, int]:
    """Total and available bytes of the file system that holds `path`."""
    state = os.statvfs(_existing(path))
    return state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize


def _first(*files: str) -> str:
    for file in files:
        try:
            if text := Path(file).read_text().strip().strip("\0"):
                return text
        except OSError:
            continue
    return ""


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def default_address() -> str:
    """The address that this machine reaches others from; loopback when it reaches none. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def default_node_name() -> str:
    return socket.gethostname().lower()
