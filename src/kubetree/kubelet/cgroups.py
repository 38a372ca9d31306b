"""The cgroups of pods, by files: /kubepods, its QoS classes, and one below for each pod. cgroups v1 and v2."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from kubetree.kubelet.resources import BEST_EFFORT, BURSTABLE, CPU_PERIOD, GUARANTEED, CgroupLimits, qos_cgroup, weight_from_shares

ROOT = Path("/sys/fs/cgroup")
PATIENCE = 100
"""Hundredths of a second that a busy cgroup is given to become free."""
_CONTROLLERS_V2 = ("cpu", "memory", "pids", "cpuset", "io", "hugetlb")


class Cgroups:
    """`root` is where the hierarchies are mounted; tests give a directory of their own."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.v2 = (root / "cgroup.controllers").exists()

    def _hierarchies(self) -> list[Path]:
        if self.v2:
            return [self.root]
        found = [path for path in self.root.iterdir() if path.is_dir() and not path.is_symlink() and (path / "cgroup.procs").exists()]
        return sorted(found)

    def ensure_tree(self, cgroup_root: str) -> None:
        """Make kubepods and its QoS classes. Raises OSError."""
        for qos in (GUARANTEED, BURSTABLE, BEST_EFFORT):
            self.ensure(qos_cgroup(cgroup_root, qos), CgroupLimits(2 if qos == BEST_EFFORT else 1024))

    def ensure(self, name: str, limits: CgroupLimits) -> None:
        """Make the cgroup `name` (absolute, below the hierarchy's root) with its limits. Raises OSError."""
        for hierarchy in self._hierarchies():
            self._make(hierarchy, name)
        if self.v2:
            self._write(name, "", "cpu.weight", weight_from_shares(limits.cpu_shares))
            self._write(name, "", "cpu.max", f"{limits.cpu_quota or 'max'} {CPU_PERIOD}")
            self._write(name, "", "memory.max", limits.memory_limit or "max")
            return
        self._write(name, "cpu", "cpu.shares", limits.cpu_shares)
        self._write(name, "cpu", "cpu.cfs_period_us", CPU_PERIOD)
        self._write(name, "cpu", "cpu.cfs_quota_us", limits.cpu_quota or -1)
        self._write(name, "memory", "memory.limit_in_bytes", limits.memory_limit or -1)

    def _make(self, hierarchy: Path, name: str) -> None:
        path = hierarchy
        for part in name.strip("/").split("/"):
            if self.v2:
                self._delegate(path)
            child = path / part
            if not child.exists():
                child.mkdir()
                if hierarchy.name == "cpuset":
                    for file in ("cpuset.cpus", "cpuset.mems"):
                        (child / file).write_text((path / file).read_text())
            path = child

    def _delegate(self, path: Path) -> None:
        """v2: let children have the controllers that this cgroup has."""
        available = (path / "cgroup.controllers").read_text().split()
        enabled = (path / "cgroup.subtree_control").read_text().split()
        for controller in _CONTROLLERS_V2:
            if controller in available and controller not in enabled:
                with contextlib.suppress(OSError):
                    (path / "cgroup.subtree_control").write_text(f"+{controller}")

    def _write(self, name: str, controller: str, file: str, value: int | str) -> None:
        path = self.root / controller / name.strip("/") / file
        if path.exists():
            path.write_text(str(value))

    def exists(self, name: str) -> bool:
        return all((hierarchy / name.strip("/")).exists() for hierarchy in self._hierarchies())

    def processes(self, name: str) -> set[int]:
        """Every process in the cgroup and below."""
        found: set[int] = set()
        for hierarchy in self._hierarchies():
            for file in (hierarchy / name.strip("/")).rglob("cgroup.procs"):
                with contextlib.suppress(OSError):
                    found |= {int(line) for line in file.read_text().split()}
        return found

    def remove(self, name: str) -> None:
        """Remove the cgroup and those below it, ending what still runs there. Safe to repeat. Raises OSError when it is busy."""
        for pid in self.processes(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for hierarchy in self._hierarchies():
            top = hierarchy / name.strip("/")
            if not top.exists():
                continue
            for path in sorted((p for p in top.rglob("*") if p.is_dir()), key=lambda p: len(p.parts), reverse=True):
                _remove_directory(path)
            _remove_directory(top)

    def pods(self, cgroup_root: str) -> dict[str, str]:
        """Pod cgroups there are, by UID."""
        found: dict[str, str] = {}
        for hierarchy in self._hierarchies():
            for qos in (GUARANTEED, BURSTABLE, BEST_EFFORT):
                name = qos_cgroup(cgroup_root, qos)
                found |= {uid: f"{name}/pod{uid}" for uid in _pod_uids(hierarchy / name.strip("/"))}
        return found


def _remove_directory(path: Path) -> None:
    """A cgroup is busy until the last process in it has been reaped, which takes a moment after its end."""
    for _ in range(PATIENCE):
        try:
            path.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            time.sleep(0.01)
    path.rmdir()


def _pod_uids(directory: Path) -> Iterable[str]:
    return [path.name.removeprefix("pod") for path in directory.glob("pod*") if path.is_dir()]
