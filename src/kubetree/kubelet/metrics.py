"""The kubelet's own numbers as Prometheus text, under upstream's names. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubetree.kubelet.node_status import KUBELET_VERSION, Health

_PROBE_LABELS = ("probe_type", "result", "container", "pod", "namespace", "pod_uid")


def own_metrics(node_name: str, pods: Sequence[dict[str, Any]], running_containers: int, health: Health) -> str:
    return "\n".join(
        [
            *_family("kubelet_node_name", "gauge", [({"node": node_name}, 1)]),
            *_family("kubelet_running_pods", "gauge", [({}, len(pods))]),
            *_family("kubelet_running_containers", "gauge", [({"container_state": "running"}, running_containers)]),
            *_family("kubelet_node_startup_ready", "gauge", [({}, 0 if health.not_ready else 1)]),
            *_family("kubernetes_build_info", "gauge", [({"git_version": KUBELET_VERSION, "major": "1", "minor": "36"}, 1)]),
            "",
        ]
    )


def probe_metrics(counts: Mapping[tuple[str, str, str, str, str, str], int]) -> str:
    samples = [(dict(zip(_PROBE_LABELS, key, strict=True)), count) for key, count in counts.items()]
    return "\n".join([*_family("prober_probe_total", "counter", samples), ""])


def _family(name: str, kind: str, samples: Sequence[tuple[Mapping[str, str], int]]) -> list[str]:
    lines = [f"# TYPE {name} {kind}"]
    for labels, value in samples:
        text = ",".join(f'{key}="{label}"' for key, label in labels.items())
        lines.append(f"{name}{{{text}}} {value}" if text else f"{name} {value}")
    return lines
