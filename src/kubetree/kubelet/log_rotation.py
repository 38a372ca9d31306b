"""Keeps container logs from growing without end: a file over the limit is renamed, older ones are compressed, the oldest go.

Names and order follow pkg/kubelet/logs/container_log_manager.go.
"""

from __future__ import annotations

import asyncio
import gzip
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from kubetree.kubelet.cri.client import RuntimeClient, RuntimeFailure
from kubetree.kubelet.runtime_state import ContainerRecord

PERIOD = 10.0
COMPRESSED, UNFINISHED = ".gz", ".tmp"


class LogRotation:
    """At most `max_files` files a container, each of about `max_size` bytes."""

    def __init__(
        self,
        client: RuntimeClient,
        running: Callable[[], Iterable[ContainerRecord]],
        max_size: int,
        max_files: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client, self._running, self._max_size, self._max_files, self._now = client, running, max_size, max_files, now

    async def rotate_all(self) -> None:
        """Rotate every running container's log that is too large. Raises RuntimeFailure."""
        for record in list(self._running()):
            path = Path(record.log_path)
            try:
                if path.exists() and path.stat().st_size > self._max_size:
                    await self.rotate(record.id, path)
            except RuntimeFailure as error:
                if not error.not_found:
                    raise

    async def rotate(self, container_id: str, path: Path) -> None:
        await asyncio.to_thread(self.tidy, path)
        rotated = path.with_name(f"{path.name}.{self._now().strftime('%Y%m%d-%H%M%S')}")
        path.rename(rotated)
        try:
            await self._client.call("ReopenContainerLog", container_id=container_id)
        except RuntimeFailure:
            # The runtime still writes to the renamed file: give it its name back.
            rotated.rename(path)
            raise

    def tidy(self, path: Path) -> None:
        """Compress all rotated files but the newest and drop those beyond the limit, as one more is about to be made."""
        files = sorted(p for p in path.parent.glob(f"{path.name}.*"))
        for file in [p for p in files if p.suffix == UNFINISHED]:
            file.unlink()
            files.remove(file)
        keep = max(self._max_files - 2, 0)
        for file in files[: len(files) - keep]:
            file.unlink()
        for file in files[max(0, len(files) - keep) :]:
            if file.suffix != COMPRESSED:
                _compress(file)


def _compress(path: Path) -> None:
    unfinished = path.with_name(path.name + UNFINISHED)
    with path.open("rb") as source, gzip.open(unfinished, "wb") as target:
        shutil.copyfileobj(source, target)
    unfinished.rename(path.with_name(path.name + COMPRESSED))
    path.unlink()
