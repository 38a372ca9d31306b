"""Priority: a pod gets the number that its priority class stands for; there is at most one default class."""

from __future__ import annotations

from typing import Any

from kubetree.api.errors import AlreadyExists, NotFound
from kubetree.api.feature_gates import DEFAULT_FEATURES, Features
from kubetree.api.kind_table import kind
from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.registry import Writer

PRIORITY_CLASS = kind("scheduling.k8s.io/v1", "PriorityClass")
PREEMPT = "PreemptLowerPriority"
_SYSTEM = {
    "system-node-critical": (2000001000, "Used for system critical pods that must not be moved from their current node."),
    "system-cluster-critical": (
        2000000000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
}

Object = dict[str, Any]


class Priority(Plugin):
    name = "Priority"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"pods", "podgroups.scheduling.k8s.io", "priorityclasses.scheduling.k8s.io"})
    mutates = validates = True

    def __init__(self, lister: Lister, features: Features = DEFAULT_FEATURES) -> None:
        self._lister, self._groups = lister, "WorkloadAwarePreemption" in features
        self._generation: int | None = None
        self._default: Object | None = None

    def admit(self, request: AdmissionRequest) -> None:
        if request.kind.plural == "podgroups" and self._groups and request.operation == CREATE and request.obj is not None:
            self._group(request, request.obj.setdefault("spec", {}))
        if request.kind.plural != "pods" or request.obj is None:
            return
        spec = request.obj.setdefault("spec", {})
        if request.operation == UPDATE:
            before = (request.old or {}).get("spec") or {}
            for field in ("priority", "preemptionPolicy"):
                if spec.get(field) is None and before.get(field) is not None:
                    spec[field] = before[field]
            return
        self._resolve(request, spec)

    def _class_of(self, request: AdmissionRequest, spec: Object) -> Object | None:
        """The class that is named, else the default one. Raises Forbidden."""
        name = spec.get("priorityClassName")
        found = self._lister.get(PRIORITY_CLASS, "", name) if name else self._default_class()
        if name and found is None:
            raise refusal(request, f"no PriorityClass with name {name} was found")
        return found

    def _group(self, request: AdmissionRequest, spec: Object) -> None:
        found = self._class_of(request, spec)
        priority, given = found["value"] if found else 0, spec.get("priority")
        if given is not None and given != priority:
            why = f"must match the priority computed ({priority}) based on the priority class set in the spec"
            raise refusal(request, f"priority set in the pod group ({given}) {why}")
        spec["priority"] = priority
        if found:
            spec["priorityClassName"] = found["metadata"]["name"]

    def _resolve(self, request: AdmissionRequest, spec: Object) -> None:
        found = self._class_of(request, spec)
        priority = found["value"] if found else 0
        policy = found.get("preemptionPolicy") if found else PREEMPT
        if found:
            spec["priorityClassName"] = found["metadata"]["name"]
        given = spec.get("priority")
        if given is not None and given != priority:
            raise refusal(
                request,
                f"the integer value of priority ({given}) must not be provided in pod spec; "
                f"priority admission controller computed {priority} from the given PriorityClass name",
            )
        spec["priority"] = priority
        if policy is None:
            return
        stated = spec.get("preemptionPolicy")
        if stated is not None and stated != policy:
            raise refusal(
                request,
                f"the string value of PreemptionPolicy ({stated}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name",
            )
        spec["preemptionPolicy"] = policy

    def validate(self, request: AdmissionRequest) -> None:
        if request.kind.plural != "priorityclasses" or not (request.obj or {}).get("globalDefault"):
            return
        default = self._default_class()
        if default is None:
            return
        name = default["metadata"]["name"]
        if request.operation == CREATE or name != request.name:
            raise refusal(request, f"PriorityClass {name} is already marked as default. Only one default can exist")

    def _default_class(self) -> Object | None:
        """The one with the lowest value, should a race have made two."""
        generation = self._lister.generation(PRIORITY_CLASS)
        if generation != self._generation:
            defaults = [found for found in self._lister.list(PRIORITY_CLASS) if found.get("globalDefault")]
            self._default = min(defaults, key=lambda found: int(found["value"]), default=None)
            self._generation = generation
        return self._default


async def ensure_system_priority_classes(writer: Writer) -> None:
    """Upstream's post-start hook scheduling/bootstrap-system-priority-classes."""
    for name, (value, description) in _SYSTEM.items():
        try:
            await writer.get(PRIORITY_CLASS, "", name)
        except NotFound:
            wanted = {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": value,
                "description": description,
                "preemptionPolicy": PREEMPT,
            }
            try:
                await writer.create(PRIORITY_CLASS, wanted)
            except AlreadyExists:
                continue
