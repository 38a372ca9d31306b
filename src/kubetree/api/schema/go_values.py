"""What a trip through upstream's Go types does to an object: zero values that `omitempty` leaves out go, fields without it appear.

Clients see that in every answer (`globalDefault: false` is gone, `rules` is null), and ownership follows it. Both directions are compiled
from the definitions, a definition at a time and on first use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from kubetree.api.protobuf.table import table
from kubetree.api.schema import definitions as d
from kubetree.api.schema.value_structs import is_value_struct

Object = dict[str, Any]
Visit = Callable[[Any], None]

_WRITTEN = """
apps.v1: StatefulSetOrdinals.start StatefulSetSpec.serviceName StatefulSetStatus.availableReplicas
authentication.v1: TokenRequestSpec.audiences TokenRequestSpec.boundObjectRef TokenRequestSpec.expirationSeconds
 TokenRequestStatus.expirationTimestamp TokenRequestStatus.token
autoscaling.v2: HorizontalPodAutoscalerStatus.currentMetrics
batch.v1: JobCondition.lastProbeTime JobCondition.lastTransitionTime PodFailurePolicyOnPodConditionsPattern.status
core.v1: AzureFilePersistentVolumeSource.secretNamespace ContainerImage.names Event.reportingComponent Event.reportingInstance
 GRPCAction.service NodeRuntimeHandler.name ProjectedVolumeSource.sources TypedLocalObjectReference.apiGroup
 TypedObjectReference.apiGroup ContainerStateRunning.startedAt ContainerStateTerminated.startedAt ContainerStateTerminated.finishedAt
 Event.firstTimestamp Event.lastTimestamp Event.eventTime EventSeries.lastObservedTime NodeCondition.lastHeartbeatTime
 PersistentVolumeClaimCondition.lastProbeTime PodCondition.lastProbeTime ServicePort.targetPort ResourceFieldSelector.divisor
events.v1: Event.deprecatedFirstTimestamp Event.deprecatedLastTimestamp
discovery.v1: EndpointSlice.endpoints EndpointSlice.ports
flowcontrol.v1: FlowSchemaSpec.matchingPrecedence LimitedPriorityLevelConfiguration.nominalConcurrencyShares QueuingConfiguration.handSize
 QueuingConfiguration.queueLengthLimit QueuingConfiguration.queues ResourcePolicyRule.namespaces
networking.v1: IngressClassParametersReference.scope
policy.v1: PodDisruptionBudgetStatus.currentHealthy PodDisruptionBudgetStatus.desiredHealthy PodDisruptionBudgetStatus.disruptionsAllowed
 PodDisruptionBudgetStatus.expectedPods
rbac.v1: ClusterRole.rules Role.rules RoleRef.apiGroup
resource.v1: AllocatedDeviceStatus.conditions CapacityRequestPolicy.default DeviceClaim.requests
scheduling.v1: PriorityClass.value
storage.v1: CSINodeDriver.topologyKeys VolumeError.time
apiextensions.v1: CustomResourceDefinitionStatus.conditions CustomResourceDefinitionStatus.storedVersions
"""
"""Fields that the definitions call optional and Go writes all the same: by value, or without omitempty."""

_OMITTED = """
admissionregistration.v1: ValidatingAdmissionPolicyBindingSpec.policyName ValidatingAdmissionPolicyBindingSpec.validationActions
authentication.v1: TokenReviewSpec.token
core.v1: ContainerRestartRule.action ContainerRestartRuleOnExitCodes.operator ImageVolumeStatus.imageRef PodCertificateProjection.keyType
 PodCertificateProjection.signerName
networking.v1: IPAddressSpec.parentRef ParentReference.name ParentReference.resource
resource.v1: CapacityRequestPolicyRange.min CounterSet.counters DeviceCounterConsumption.counters
"""
"""Fields that the definitions call required and Go leaves out when they are empty."""

_CONDITIONS_DATED = frozenset(
    {
        "DaemonSetCondition", "DeploymentCondition", "ReplicaSetCondition", "StatefulSetCondition", "HorizontalPodAutoscalerCondition",
        "CertificateSigningRequestCondition", "NamespaceCondition", "NodeCondition", "PersistentVolumeClaimCondition", "PodCondition",
        "ReplicationControllerCondition", "FlowSchemaCondition", "PriorityLevelConfigurationCondition", "CustomResourceDefinitionCondition",
        "APIServiceCondition", "Condition",
    }
)  # fmt: skip
"""Types whose lastTransitionTime is a time by value: null when there is none."""


def _names(text: str) -> frozenset[str]:
    found, group = set(), ""
    for word in text.split():
        if word.endswith(":"):
            group = word[:-1]
        else:
            found.add(f"{group}.{word}")
    return frozenset(found)


_written, _omitted = _names(_WRITTEN), _names(_OMITTED)
_ZERO = {"string": "", "integer": 0, "number": 0, "boolean": False}
_ZERO_LEAVES = {d.QUANTITY: "0", d.INT_OR_STRING: 0}
_DROPPED_SCALARS = frozenset({"string", "integer", "number", "boolean"})


def _short(name: str) -> str:
    return ".".join(name.split(".")[-3:])


def _message(name: str) -> dict[str, str]:
    """The Go types of a definition's fields as the table of protobuf has them, by field; empty for what it does not know."""
    group, version, kind = name.split(".")[-3:]
    for key in (f"{group}.{version}.{kind}", f"meta/{kind}" if group == "meta" else "", f"{group}/{kind}"):
        if key in table():
            return dict(table()[key].values())
    return {}


def is_written(name: str, field: str, required: bool) -> bool:
    """Whether Go writes field `field` of definition `name` even when it is empty."""
    key = f"{_short(name)}.{field}"
    if field == "lastTransitionTime" and name.rpartition(".")[2] in _CONDITIONS_DATED:
        return True
    return key in _written or (required and key not in _omitted)


def always(name: str) -> dict[str, Any]:
    """The fields of a definition that are always there, and what they are when nobody sets them: a zero value, {} for a struct, else null."""
    schema = d.definitions()[name]
    required = schema.get("required") or ()
    found: dict[str, Any] = {}
    for field, value in (schema.get("properties") or {}).items():
        target = d.reference(value)
        if target is not None and target not in d.ANYTHING and is_value_struct(name, field):
            found[field] = {}
        elif is_written(name, field, field in required):
            pointer = _message(name).get(field, "").startswith("*")
            found[field] = None if pointer else _ZERO_LEAVES.get(target) if target is not None else _ZERO.get(d.type_of(value))
    return found


def dropped(name: str) -> frozenset[str]:
    """The fields of a definition that Go leaves out when they hold a zero value: scalars by value, lists and maps."""
    schema = d.definitions()[name]
    required, message = schema.get("required") or (), _message(name)
    found = set()
    for field, value in (schema.get("properties") or {}).items():
        kind = d.type_of(value)
        if d.reference(value) is not None or is_written(name, field, field in required):
            continue
        scalar = kind in _DROPPED_SCALARS and not message.get(field, "*").startswith("*")
        if scalar or kind == "array" or (kind == "object" and value.get("additionalProperties")):
            found.add(field)
    return frozenset(found)


def drop_zeros(name: str, obj: Object) -> None:
    """Takes out, in place, what Go would not write back."""
    _dropper(name)(obj)


def fill_always(name: str, obj: Object) -> None:
    """Adds, in place, what Go writes though nobody set it."""
    visit = _filler(name)
    if visit is not None:
        visit(obj)


_FILLED_BELOW = {"io.k8s.api.core.v1.PodSpec": frozenset({"volumes"})}
"""Fields below which alone a definition is filled. What containers always have their defaults give, and pods are many."""


class _Later:
    """Stands for the visitor of a definition that holds itself."""

    visit: Visit | None = None

    def __call__(self, value: Any) -> None:
        if self.visit is not None:
            self.visit(value)


_OPEN: dict[tuple[str, str], _Later] = {}
_LEAVES = frozenset({d.QUANTITY, d.INT_OR_STRING, d.TIME, d.MICRO_TIME, d.DURATION}) | d.ANYTHING


def _child(schema: d.Schema, visitor: Callable[[str], Visit | None]) -> Visit | None:
    """How to visit a value of a schema; None when there is nothing to find in it."""
    target = d.reference(schema)
    if target is not None:
        return None if target in _LEAVES else visitor(target)
    kind = d.type_of(schema)
    if kind == "array":
        return _each(_child(schema["items"], visitor))
    values = schema.get("additionalProperties")
    if kind == "object" and isinstance(values, dict):
        return _values(_child(values, visitor))
    return None


def _each(item: Visit | None) -> Visit | None:
    if item is None:
        return None

    def visit(values: Any) -> None:
        for value in values:
            item(value)

    return visit


def _values(item: Visit | None) -> Visit | None:
    if item is None:
        return None

    def visit(values: Any) -> None:
        for value in values.values():
            item(value)

    return visit


def _children(name: str, visitor: Callable[[str], Visit | None], only: frozenset[str] = frozenset()) -> dict[str, Visit]:
    properties = d.definitions()[name].get("properties") or {}
    found = {field: _child(value, visitor) for field, value in properties.items() if not only or field in only}
    return {field: visit for field, visit in found.items() if visit is not None}


def _compiled(which: str, name: str, make: Callable[[str], Visit | None]) -> Visit | None:
    """Makes a visitor once; a definition met again while its own is being made gets one that is filled in later."""
    open_ = _OPEN.get((which, name))
    if open_ is not None:
        return open_
    later = _OPEN[which, name] = _Later()
    try:
        later.visit = make(name)
    finally:
        del _OPEN[which, name]
    return later.visit


@cache
def _dropper(name: str) -> Visit:
    found = _compiled("drop", name, _make_dropper)
    assert found is not None
    return found


def _make_dropper(name: str) -> Visit:
    gone, children = dropped(name), _children(name, _dropper)

    def drop(obj: Any) -> None:
        if not isinstance(obj, dict):
            return
        zeros = None
        for field, value in obj.items():
            if not value and field in gone:
                zeros = [field] if zeros is None else [*zeros, field]
            elif value:
                visit = children.get(field)
                if visit is not None:
                    visit(value)
        for field in zeros or ():
            del obj[field]

    return drop


@cache
def _filler(name: str) -> Visit | None:
    return _compiled("fill", name, _make_filler)


def _make_filler(name: str) -> Visit | None:
    missing = always(name)
    children = list(_children(name, _filler, _FILLED_BELOW.get(name, frozenset())).items())
    if not missing and not children:
        return None
    simple = [(field, value) for field, value in missing.items() if value != {}]
    properties = d.definitions()[name].get("properties") or {}
    collections = [field for field, value in simple if value is None and d.type_of(properties[field]) in ("array", "object")]
    structs = [field for field, value in missing.items() if value == {}]

    def fill(obj: Any) -> None:
        if not isinstance(obj, dict):
            return
        for field, value in simple:
            if field not in obj:
                obj[field] = value
        for field in collections:
            if not obj[field]:
                obj[field] = None
        for field in structs:
            if obj.get(field) is None:
                obj[field] = {}
        for field, visit in children:
            value = obj.get(field)
            if value is not None:
                visit(value)

    return fill
