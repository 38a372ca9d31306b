"""ImageLocality: prefers nodes that have the pod's images already, the more the larger they are and the more nodes have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kubetree.scheduler.framework import Scores
from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.snapshot import Snapshot

_MEGABYTE = 1024 * 1024
MINIMUM, MAXIMUM_EACH = 23 * _MEGABYTE, 1000 * _MEGABYTE


def normalized_name(image: str) -> str:
    """`nginx` means `nginx:latest`; a colon before the last slash is a registry's port."""
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"


class ImageLocality:
    name = "ImageLocality"
    weight = 1

    def score(self, pod: PodInfo, snapshot: Snapshot, feasible: npt.NDArray[np.intp]) -> Scores | None:
        images: dict[str, npt.NDArray[np.float64]] = snapshot.computed("images", None, lambda: self._sizes(snapshot))
        containers = [*(pod.spec.get("containers") or ()), *(pod.spec.get("initContainers") or ())]
        total = np.zeros(len(feasible))
        found = False
        for container in containers:
            sizes = images.get(normalized_name(container.get("image") or ""))
            if sizes is not None:
                found = True
                total += np.floor(sizes[feasible])
        if not found:
            return None
        highest = MAXIMUM_EACH * len(containers)
        return np.floor(100 * (np.clip(total, MINIMUM, highest) - MINIMUM) / (highest - MINIMUM))

    @staticmethod
    def _sizes(snapshot: Snapshot) -> dict[str, npt.NDArray[np.float64]]:
        """For each image name its size on each node, scaled by the share of nodes that have it."""
        sizes: dict[str, npt.NDArray[np.float64]] = {}
        for row, node in snapshot.row_items():
            listed: list[dict[str, Any]] = (node.get("status") or {}).get("images") or []
            for image in listed:
                for name in image.get("names") or ():
                    sizes.setdefault(name, np.zeros(len(snapshot.valid)))[row] = image.get("sizeBytes") or 0
        nodes = max(len(snapshot), 1)
        return {name: each * (np.count_nonzero(each) / nodes) for name, each in sizes.items()}
