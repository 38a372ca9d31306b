"""`kubetree down` when something went wrong before: what still runs in the cluster's cgroups is ended with them."""

import os
import subprocess
from pathlib import Path

import pytest

from kubetree.cluster.down import CGROUP_ROOT, remove_cgroups

pytestmark = [pytest.mark.node, pytest.mark.skipif(os.geteuid() != 0, reason="cgroups need root")]


def a_hierarchy() -> Path:
    """One whose cgroups take processes as they are made."""
    return next((CGROUP_ROOT / name for name in ("pids", "unified") if (CGROUP_ROOT / name / "cgroup.procs").exists()), CGROUP_ROOT)


def test_processes_that_a_dead_shim_left_go_with_their_cgroup() -> None:
    name = f"kubetree-test-{os.getpid()}"
    inner = a_hierarchy() / name / "kubepods" / "pod"
    inner.mkdir(parents=True)
    left = subprocess.Popen(["sleep", "300"])
    try:
        (inner / "cgroup.procs").write_text(str(left.pid))
        remove_cgroups(name)
        assert left.wait(timeout=5) == -9
        assert not (a_hierarchy() / name).exists()
    finally:
        left.kill()
        left.wait()
        remove_cgroups(name)
