"""Removes images that nobody uses when the disk fills up: those unused longest first, until enough is free."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kubetree.kubelet.cri.client import RuntimeClient

PERIOD = 300.0

log = logging.getLogger("kubetree.kubelet")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image on the node: `used_at` when a container last used it, `found_at` when it was first seen, both seconds."""

    id: str
    size: int
    found_at: float
    used_at: float


def choose(candidates: Sequence[Candidate], wanted: int, now: float, minimum_age: float) -> list[Candidate]:
    """Which to remove to free `wanted` bytes: oldest use first, none that came or was used within `minimum_age` seconds."""
    chosen: list[Candidate] = []
    freed = 0
    for candidate in sorted(candidates, key=lambda c: (c.used_at, c.found_at)):
        if freed >= wanted:
            break
        if now - max(candidate.found_at, candidate.used_at) >= minimum_age:
            chosen.append(candidate)
            freed += candidate.size
    return chosen


def excess(total: int, available: int, high: int, low: int) -> int:
    """Bytes to free: none below `high` percent used, else down to `low` percent."""
    used = 100 - available * 100 // total if total else 0
    return max(0, total * (100 - low) // 100 - available) if used >= high else 0


class ImageCollection:
    """`disk()` is total and available bytes; `keep` names the image that sandboxes are made of."""

    def __init__(
        self,
        client: RuntimeClient,
        disk: Callable[[], tuple[int, int]],
        clock: Callable[[], float],
        *,
        high: int,
        low: int,
        minimum_age: float,
        keep: str = "",
    ) -> None:
        self._client, self._disk, self._clock = client, disk, clock
        self._high, self._low, self._minimum_age, self._keep = high, low, minimum_age, keep
        self._found: dict[str, float] = {}
        self._used: dict[str, float] = {}

    async def collect(self) -> list[str]:
        """Look once; answers the ids of the images removed. Raises RuntimeFailure."""
        unused = await self._look()
        wanted = excess(*self._disk(), self._high, self._low)
        removed: list[str] = []
        for candidate in choose(unused, wanted, self._clock(), self._minimum_age) if wanted else ():
            await self._client.call("RemoveImage", image={"image": candidate.id})
            log.info("removed image %s to free %d bytes", candidate.id, candidate.size)
            removed.append(candidate.id)
        return removed

    async def _look(self) -> list[Candidate]:
        now = self._clock()
        present = (await self._client.call("ListImages")).images
        in_use = {c.image_ref for c in (await self._client.call("ListContainers")).containers}
        in_use |= {c.image.image for c in (await self._client.call("ListContainers")).containers}
        for known in (self._found, self._used):
            for gone in known.keys() - {image.id for image in present}:
                del known[gone]
        unused: list[Candidate] = []
        for image in present:
            self._found.setdefault(image.id, now)
            if self._is_used(image, in_use):
                self._used[image.id] = now
            else:
                unused.append(Candidate(image.id, image.size, self._found[image.id], self._used.get(image.id, 0.0)))
        return unused

    def _is_used(self, image: Any, in_use: set[str]) -> bool:
        names = {image.id, *image.repo_tags, *image.repo_digests}
        pause = self._keep in image.repo_tags if self._keep else any("/pause:" in tag for tag in image.repo_tags)
        return bool(image.pinned or pause or names & in_use)
