"""NodePorts: two pods of one node cannot take the same host port."""

from __future__ import annotations

import numpy as np

from kubetree.scheduler.framework import Reason
from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.snapshot import Snapshot


class NodePorts:
    name = "NodePorts"

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> tuple[Reason, ...]:
        if not pod.host_ports:
            return ()
        taken = np.logical_or.reduce([snapshot.port_conflicts(port) for port in pod.host_ports])
        return (Reason("node(s) didn't have free ports for the requested pod ports", taken),)
