"""Kernel settings below /proc/sys: written only when they differ, so that a read-only /proc with the right values is enough."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

ROOT = Path("/proc/sys")


class SysctlError(Exception):
    """A setting that is needed and could not be made. The message says which, and the command that makes it."""


def ensure(settings: Mapping[str, int], root: Path = ROOT) -> None:
    """Makes settings like {"net/ipv4/ip_forward": 1}. Raises SysctlError."""
    for name, value in settings.items():
        path = root / name
        try:
            if path.read_text().strip() != str(value):
                path.write_text(f"{value}\n")
        except OSError as error:
            raise SysctlError(
                f"cannot set {name.replace('/', '.')}={value} ({error.strerror}); try: sysctl -w {name.replace('/', '.')}={value}"
            ) from error


def ensure_at_least(name: str, value: int, root: Path = ROOT) -> bool:
    """Raises a limit, best effort: False when it was lower and could not be raised (as in network namespaces below the first)."""
    path = root / name
    try:
        if int(path.read_text()) < value:
            path.write_text(f"{value}\n")
    except (OSError, ValueError):
        return False
    return True
