"""mount(2) and umount(2) by libc: volumes mount tmpfs and subpaths, and a process per mount would be slow."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

MS_BIND, MS_REC = 4096, 16384
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, path: Path | str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))


def mount(source: str, target: Path | str, kind: str, flags: int = 0, options: str = "") -> None:
    """Raises OSError naming the target."""
    _check(_libc.mount(source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode()), target)


def bind(source: Path | str, target: Path | str) -> None:
    mount(os.fspath(source), target, "none", MS_BIND | MS_REC)


def unmount(target: Path | str) -> None:
    """Lazily, so that a process that still uses it does not hold up the pod's end. Raises OSError."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), target)


def mount_points(below: Path) -> list[Path]:
    """Mount points at or below a directory, deepest first."""
    prefix = f"{below}/"
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    decoded = [point.encode().decode("unicode_escape") if "\\" in point else point for point in points]
    return sorted((Path(p) for p in decoded if p == str(below) or p.startswith(prefix)), key=lambda p: len(str(p)), reverse=True)


def unmount_below(directory: Path) -> None:
    for point in mount_points(directory):
        unmount(point)
