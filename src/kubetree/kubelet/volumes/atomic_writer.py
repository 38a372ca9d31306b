"""Files that change all at once: a new timestamped directory is written, then the `..data` link is swapped.

Readers see the old set or the new one, never a mixture. Layout and names follow pkg/volume/util/atomic_writer.go, since programs
watch `..data` to learn of changes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from kubetree.kubelet.volumes.plugin import VolumeError

DATA, NEW_DATA = "..data", "..data_tmp"


@dataclass(frozen=True, slots=True)
class Content:
    """One file: `mode` as chmod, `owner` a user id that it belongs to."""

    data: bytes
    mode: int
    owner: int | None = None


def check_path(path: str) -> str | None:
    """Why a relative file path may not be used, or None."""
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/"):
        return "must be relative"
    if ".." in parts or path.startswith(".."):
        return "must not contain '..'"
    return None


def write(directory: Path, files: Mapping[str, Content], group: int | None) -> bool:
    """Make `directory` hold exactly `files`. Answers whether anything changed. `group` is the pod's fsGroup.

    Raises VolumeError for a path that leads out of the directory.
    """
    for path in files:
        if (why := check_path(path)) is not None:
            raise VolumeError(f"invalid path {path!r}: {why}")
    current = directory / DATA
    if current.is_symlink() and _same(current.resolve(), files):
        return False
    stamp = datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    fresh = Path(tempfile.mkdtemp(prefix=stamp, dir=directory))
    for path, content in files.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.data)
        target.chmod(content.mode)
        if content.owner is not None:
            os.chown(target, content.owner, -1)
    fresh.chmod(0o755)  # not sooner: files are made with a wider mode than theirs
    if group is not None:
        give_to_group(fresh, group, readonly=True)
    old = os.readlink(current) if current.is_symlink() else ""
    link = directory / NEW_DATA
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.rename(current)
    _link_top_level(directory, files)
    if old and old != fresh.name:
        shutil.rmtree(directory / old, ignore_errors=True)
    return True


def _same(existing: Path, files: Mapping[str, Content]) -> bool:
    if not existing.is_dir():
        return False
    present = {str(p.relative_to(existing)) for p in existing.rglob("*") if p.is_file()}
    return present == {str(PurePosixPath(p)) for p in files} and all((existing / p).read_bytes() == c.data for p, c in files.items())


def _link_top_level(directory: Path, files: Mapping[str, Content]) -> None:
    wanted = {PurePosixPath(path).parts[0] for path in files}
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in wanted:
            entry.unlink()
    for name in wanted:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")


def give_to_group(directory: Path, group: int, *, readonly: bool) -> None:
    """fsGroup: everything below belongs to the group and can be read (and written, unless `readonly`) by it."""
    extra = 0o440 if readonly else 0o660
    for root, _, names in os.walk(directory):
        os.chown(root, -1, group)
        os.chmod(root, os.stat(root).st_mode & 0o7777 | extra | 0o2110)
        for name in names:
            path = os.path.join(root, name)
            os.lchown(path, -1, group)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode & 0o7777 | extra)
