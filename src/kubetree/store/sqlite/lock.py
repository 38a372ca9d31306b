"""One process at a time: what two API servers on one file would do to each other's revisions is past repair."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from kubetree.store.protocol import StoreUnavailable


class FileLock:
    """An advisory lock on `<path>.lock`, which has the owner's pid in it; the kernel frees it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Raises StoreUnavailable when another process, or this one, has it."""
        self._fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._fd, 20).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise StoreUnavailable(
                f"the store {path} is in use by process {owner}; one API server at a time may use it: stop that one or use another file"
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._fd)
