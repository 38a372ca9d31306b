"""hostPath: a file or directory of the node itself, checked or made as its type says."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from kubetree.kubelet.volumes.plugin import Request, Volume, VolumeError

_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "directory"),
    "File": (stat.S_ISREG, "file"),
    "FileOrCreate": (stat.S_ISREG, "file"),
    "Socket": (stat.S_ISSOCK, "socket file"),
    "CharDevice": (stat.S_ISCHR, "character device"),
    "BlockDevice": (stat.S_ISBLK, "block device"),
}


class HostPath:
    source = "hostPath"
    directory_name = "kubernetes.io~host-path"

    async def set_up(self, request: Request) -> Volume:
        source = request.volume["hostPath"]
        path, kind = Path(source["path"]), source.get("type") or ""
        if kind:
            self._check(path, kind)
        return Volume(path)

    @staticmethod
    def _check(path: Path, kind: str) -> None:
        fits, noun = _CHECKS[kind]
        if not path.exists():
            if kind == "DirectoryOrCreate":
                path.mkdir(parents=True, mode=0o755)
            elif kind == "FileOrCreate":
                try:
                    path.touch(mode=0o644)
                except OSError as error:
                    raise VolumeError(f"hostPath type check failed: {error}") from error
        if not path.exists() or not fits(path.stat().st_mode):
            raise VolumeError(f"hostPath type check failed: {path} is not a {noun}")
