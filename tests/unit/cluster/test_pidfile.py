"""A recorded process is found while it lives, and never mistaken for another that got its pid."""

import subprocess
from pathlib import Path

from kubetree.cluster import pidfile


def test_a_living_process_is_found_and_ended(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        pidfile.record(tmp_path, "sleeper", child.pid)
        found = pidfile.find(tmp_path, "sleeper")
        assert found is not None and found.pid == child.pid
        found.end()
        assert not found.alive
        assert pidfile.find(tmp_path, "sleeper") is None
    finally:
        child.kill()
        child.wait()


def test_another_process_with_the_same_pid_is_not_ours(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        (tmp_path / "sleeper").write_text(f"{child.pid} 1")
        assert pidfile.find(tmp_path, "sleeper") is None
    finally:
        child.kill()
        child.wait()


def test_rubbish_in_the_file_means_nobody(tmp_path: Path) -> None:
    (tmp_path / "sleeper").write_text("")
    assert pidfile.find(tmp_path, "sleeper") is None
