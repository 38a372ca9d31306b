"""subPath: a part of a volume, bound to a place of its own so that a link inside the volume cannot lead out of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from kubetree.kubelet import mounts
from kubetree.kubelet.volumes.plugin import VolumeError


def check(subpath: str) -> None:
    """Raises VolumeError for an absolute path or one with `..`."""
    if subpath.startswith("/"):
        raise VolumeError(f"error SubPath `{subpath}` must not be an absolute path")
    if ".." in PurePosixPath(subpath).parts:
        raise VolumeError(f"unable to provision SubPath `{subpath}`: must not contain '..'")


def prepare(volume: Path, subpath: str, target: Path, *, volume_name: str, container: str) -> Path:
    """Bind `volume/subpath` to `target`, making the directory if it is not there. Raises VolumeError, worded as upstream."""
    check(subpath)
    failure = f'failed to prepare subPath for volumeMount "{volume_name}" of container "{container}"'
    root = volume.resolve()
    wanted = Path(os.path.realpath(root / subpath))
    if not wanted.is_relative_to(root):
        raise VolumeError(failure)
    if not wanted.exists():
        try:
            _make(root, wanted)
        except OSError as error:
            raise VolumeError(f'failed to create subPath directory for volumeMount "{volume_name}" of container "{container}"') from error
    try:
        descriptor = _open_within(root, wanted)
    except OSError as error:
        raise VolumeError(failure) from error
    try:
        if target in mounts.mount_points(target):
            if os.path.samestat(os.stat(target), os.fstat(descriptor)):
                return target
            # The container starts again and the volume's content was replaced meanwhile: what is bound is the old.
            mounts.unmount(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            target.mkdir(exist_ok=True)
        else:
            target.touch()
        mounts.bind(f"/proc/self/fd/{descriptor}", target)
    except OSError as error:
        raise VolumeError(failure) from error
    finally:
        os.close(descriptor)
    return target


def _make(root: Path, wanted: Path) -> None:
    mode = stat.S_IMODE(root.stat().st_mode)
    path = root
    for part in wanted.relative_to(root).parts:
        path = path / part
        if not path.exists():
            path.mkdir()
            path.chmod(mode)


def _open_within(root: Path, wanted: Path) -> int:
    """Open step by step without following links, so that a link put there in the meantime is refused."""
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    for part in wanted.relative_to(root).parts:
        try:
            below = os.open(part, os.O_PATH | os.O_NOFOLLOW, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
        if stat.S_ISLNK(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError("a symbolic link appeared")
    return descriptor
