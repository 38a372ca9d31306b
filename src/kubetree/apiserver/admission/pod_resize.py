"""PodResizeValidator: a running pod is resized only where its node could ever hold it."""

from __future__ import annotations

from typing import Any

from kubetree.api.errors import ApiError, Cause
from kubetree.api.kind_table import kind
from kubetree.api.objects import labels
from kubetree.api.pod_resources import pod_requests
from kubetree.api.quantities import parse_quantity
from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import UPDATE, AdmissionRequest
from kubetree.apiserver.lister import Lister

Object = dict[str, Any]

NODE = kind("v1", "Node")
OS = "kubernetes.io/os"
NODE_CAPACITY, UNSUPPORTED_PLATFORM = "NodeCapacity", "UnsupportedPlatform"


class PodResizeValidator(Plugin):
    name = "PodResizeValidator"
    operations = frozenset({UPDATE})
    resources = frozenset({"pods"})
    subresources = frozenset({"resize"})
    validates = True

    def __init__(self, lister: Lister) -> None:
        self._lister = lister

    async def validate(self, request: AdmissionRequest) -> None:
        pod, old = request.obj or {}, request.old or {}
        name = (pod.get("spec") or {}).get("nodeName")
        if not name or pod["spec"] == old.get("spec"):
            return
        node = self._lister.get(NODE, "", name)
        if node is None:
            raise refusal(request, f'node "{name}" not found')
        system = labels(node).get(OS, "linux")
        if system != "linux":
            why = f'pod resize is only supported on linux nodes, node "{name}" is "{system}"'
            raise _because(request, why, UNSUPPORTED_PLATFORM)
        if lacking := _lacking(pod, (node.get("status") or {}).get("allocatable") or {}):
            raise _because(request, f"node didn't have enough allocatable resources: {'; '.join(lacking)}", NODE_CAPACITY)


def _lacking(pod: Object, allocatable: Object) -> list[str]:
    """What is asked for beyond the node's size: cpu in millicores, memory in bytes."""
    requests, zero = pod_requests(pod), parse_quantity("0")
    cpu, has_cpu = requests.get("cpu", zero), parse_quantity(allocatable.get("cpu", "0"))
    memory, has_memory = requests.get("memory", zero), parse_quantity(allocatable.get("memory", "0"))
    found = []
    if has_cpu < cpu:
        found.append(f"cpu, requested: {cpu.milli()}, allocatable: {has_cpu.milli()}")
    if has_memory < memory:
        found.append(f"memory, requested: {memory.value()}, allocatable: {has_memory.value()}")
    return found


def _because(request: AdmissionRequest, why: str, cause: str) -> ApiError:
    error = refusal(request, why)
    error.causes = (Cause(cause, "", ""),)
    return error
