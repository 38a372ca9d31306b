"""Links to containers' logs by pod, namespace and container: where log collectors look for them (upstream's /var/log/containers)."""

from __future__ import annotations

import contextlib
from pathlib import Path

DIRECTORY = "containers"
_MAX_NAME = 251


def directory(pod_log_dir: Path) -> Path:
    """Beside the directory of the pods' logs."""
    return pod_log_dir.parent / DIRECTORY


def make(pod_log_dir: Path, log: Path, *, pod: str, namespace: str, container: str, container_id: str) -> None:
    """A link to `log` named as upstream names it. A log that is not there gets none."""
    if not log.exists():
        return
    links = directory(pod_log_dir)
    links.mkdir(exist_ok=True)
    name = f"{pod}_{namespace}_{container}-{container_id}"[:_MAX_NAME]
    with contextlib.suppress(FileExistsError):
        (links / f"{name}.log").symlink_to(log)


def remove(pod_log_dir: Path, container_id: str) -> None:
    """The link of a container that was removed, and the directory with the last one."""
    links = directory(pod_log_dir)
    for link in links.glob(f"*-{container_id}.log"):
        link.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        links.rmdir()
