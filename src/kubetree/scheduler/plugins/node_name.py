"""NodeName: a pod that names its node goes there."""

from __future__ import annotations

from kubetree.scheduler.framework import Reason
from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.snapshot import Snapshot


class NodeName:
    name = "NodeName"

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> tuple[Reason, ...]:
        if not pod.node:
            return ()
        others = snapshot.valid.copy()
        if (row := snapshot.rows.get(pod.node)) is not None:
            others[row] = False
        return (Reason("node(s) didn't match the requested node name", others, hopeless=True),)
