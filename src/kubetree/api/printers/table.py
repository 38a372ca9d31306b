"""The table of printers: columns as text, and the function that fills them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from kubetree.api.kinds import Kind
from kubetree.api.printers import cluster, networking, optional, pods, policies, workloads
from kubetree.api.schema.definitions import definitions

Cells = Callable[[Mapping[str, Any], datetime], list[Any]]

_TYPES = {"i": "integer", "b": "boolean", "d": "date", "s": "string"}


def _parse(text: str) -> list[dict[str, Any]]:
    """`Name|Age|Count:i|+Image` to column definitions: a colon gives the type, a plus moves the column to `-o wide`."""
    parsed = []
    for part in text.split("|"):
        name, _, sort = part.removeprefix("+").partition(":")
        named = "name" if name in ("Name", "Attacher") and not sort else ""
        wide = int(part.startswith("+"))
        parsed.append({"name": name, "type": _TYPES[sort or "s"], "format": named, "description": "", "priority": wide})
    return parsed


_WORKLOAD = "+Containers|+Images|+Selector"
_RBAC, _ADMISSION = "rbac.authorization.k8s.io/v1", "admissionregistration.k8s.io/v1"
_NAMED = "Name|Age"
_REPLICAS = f"Name|Desired:i|Current:i|Ready:i|Age|{_WORKLOAD}"
_BINDING = "Name|Role|Age|+Users|+Groups|+ServiceAccounts"
_EVENT = "Last Seen|Type|Reason|Object|+Subobject|+Source|Message|+First Seen|+Count|+Name"
_AUTOSCALER = "Name|Reference|Targets|MinPods|MaxPods|Replicas|Age"

_ROWS: dict[tuple[str, str], tuple[str, Cells]] = {
    ("v1", "ComponentStatus"): ("Name|Status|Message|Error", cluster.component_status),
    ("v1", "ConfigMap"): ("Name|Data|Age", cluster.config_map),
    ("v1", "Endpoints"): ("Name|Endpoints|Age", networking.endpoints),
    ("v1", "Event"): (_EVENT, cluster.event),
    ("v1", "Namespace"): ("Name|Status|Age", cluster.namespace),
    ("v1", "Node"): (
        "Name|Status|Roles|Age|Version|+Internal-IP|+External-IP|+OS-Image|+Kernel-Version|+Container-Runtime",
        cluster.node,
    ),
    ("v1", "PersistentVolume"): (
        "Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|+VolumeMode",
        cluster.persistent_volume,
    ),
    ("v1", "PersistentVolumeClaim"): (
        "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|+VolumeMode",
        cluster.persistent_volume_claim,
    ),
    ("v1", "Pod"): ("Name|Ready|Status|Restarts|Age|+IP|+Node|+Nominated Node|+Readiness Gates", pods.pod),
    ("v1", "PodTemplate"): ("Name|Containers|Images|Pod Labels", workloads.pod_template),
    ("v1", "ReplicationController"): (_REPLICAS, workloads.replication_controller),
    ("v1", "ResourceQuota"): ("Name|Request|Limit|Age", cluster.resource_quota),
    ("v1", "Secret"): ("Name|Type|Data|Age", cluster.secret),
    ("v1", "Service"): ("Name|Type|Cluster-IP|External-IP|Port(s)|Age|+Selector", networking.service),
    ("v1", "ServiceAccount"): (_NAMED, cluster.named),
    (_ADMISSION, "MutatingAdmissionPolicy"): ("Name|Mutations:i|ParamKind|Age", policies.admission_policy),
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): ("Name|PolicyName|ParamRef|Age", policies.admission_policy_binding),
    (_ADMISSION, "MutatingWebhookConfiguration"): ("Name|Webhooks:i|Age", policies.webhooks),
    (_ADMISSION, "ValidatingAdmissionPolicy"): ("Name|Validations:i|ParamKind|Age", policies.admission_policy),
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): ("Name|PolicyName|ParamRef|Age", policies.admission_policy_binding),
    (_ADMISSION, "ValidatingWebhookConfiguration"): ("Name|Webhooks:i|Age", policies.webhooks),
    ("apiregistration.k8s.io/v1", "APIService"): ("Name|Service|Available|Age", policies.api_service),
    ("apps/v1", "ControllerRevision"): ("Name|Controller|Revision|Age", workloads.controller_revision),
    ("apps/v1", "DaemonSet"): (
        f"Name|Desired:i|Current:i|Ready:i|Up-to-date:i|Available:i|Node Selector|Age|{_WORKLOAD}",
        workloads.daemon_set,
    ),
    ("apps/v1", "Deployment"): (f"Name|Ready|Up-to-date|Available|Age|{_WORKLOAD}", workloads.deployment),
    ("apps/v1", "ReplicaSet"): (_REPLICAS, workloads.replicas),
    ("apps/v1", "StatefulSet"): ("Name|Ready|Age|+Containers|+Images", workloads.stateful_set),
    ("autoscaling/v1", "HorizontalPodAutoscaler"): (_AUTOSCALER, workloads.autoscaler_v1),
    ("autoscaling/v1", "Scale"): ("Name:s|Desired:i|Available:i|Age", workloads.scale),
    ("autoscaling/v2", "HorizontalPodAutoscaler"): (_AUTOSCALER, workloads.autoscaler),
    ("batch/v1", "CronJob"): (f"Name|Schedule|Timezone|Suspend:b|Active:i|Last Schedule|Age|{_WORKLOAD}", workloads.cron_job),
    ("batch/v1", "Job"): (f"Name|Status|Completions|Duration|Age|{_WORKLOAD}", workloads.job),
    ("certificates.k8s.io/v1", "CertificateSigningRequest"): (
        "Name|Age|SignerName|Requestor|RequestedDuration|Condition",
        policies.signing_request,
    ),
    ("certificates.k8s.io/v1beta1", "ClusterTrustBundle"): ("Name|SignerName", optional.trust_bundle),
    ("certificates.k8s.io/v1beta1", "PodCertificateRequest"): (
        "Name|PodName|ServiceAccountName|NodeName|SignerName|State|UnverifiedUserAnnotations",
        optional.pod_certificate_request,
    ),
    ("coordination.k8s.io/v1", "Lease"): ("Name|Holder|Age", cluster.lease),
    ("coordination.k8s.io/v1beta1", "LeaseCandidate"): ("Name|LeaseName|BinaryVersion|EmulationVersion|Age", optional.lease_candidate),
    ("discovery.k8s.io/v1", "EndpointSlice"): ("Name|AddressType|Ports|Endpoints|Age", networking.endpoint_slice),
    ("events.k8s.io/v1", "Event"): (_EVENT, cluster.new_event),
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"): (
        "Name|PriorityLevel|MatchingPrecedence|DistinguisherMethod|Age|MissingPL",
        policies.flow_schema,
    ),
    ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration"): (
        "Name|Type|NominalConcurrencyShares|Queues|HandSize|QueueLengthLimit|Age",
        policies.priority_level,
    ),
    ("internal.apiserver.k8s.io/v1alpha1", "StorageVersion"): (
        "Name|CommonEncodingVersion|StorageVersions|Age",
        optional.storage_version,
    ),
    ("networking.k8s.io/v1", "IPAddress"): ("Name|ParentRef", networking.ip_address),
    ("networking.k8s.io/v1", "Ingress"): ("Name|Class|Hosts|Address|Ports|Age", networking.ingress),
    ("networking.k8s.io/v1", "IngressClass"): ("Name|Controller|Parameters|Age", networking.ingress_class),
    ("networking.k8s.io/v1", "NetworkPolicy"): ("Name|Pod-Selector|Age", networking.network_policy),
    ("networking.k8s.io/v1", "ServiceCIDR"): ("Name|CIDRs|Age", networking.service_cidr),
    ("node.k8s.io/v1", "RuntimeClass"): ("Name|Handler|Age", cluster.runtime_class),
    ("policy/v1", "PodDisruptionBudget"): (
        "Name|Min Available|Max Unavailable|Allowed Disruptions:i|Age",
        workloads.disruption_budget,
    ),
    (_RBAC, "ClusterRoleBinding"): (_BINDING, policies.binding),
    (_RBAC, "RoleBinding"): (_BINDING, policies.binding),
    ("resource.k8s.io/v1", "DeviceClass"): (_NAMED, cluster.named),
    ("resource.k8s.io/v1", "ResourceClaim"): ("Name|State|Age", policies.resource_claim),
    ("resource.k8s.io/v1", "ResourceClaimTemplate"): (_NAMED, cluster.named),
    ("resource.k8s.io/v1", "ResourceSlice"): ("Name|Node|Driver|Pool|Age", policies.resource_slice),
    ("resource.k8s.io/v1alpha3", "DeviceTaintRule"): ("Name|Key|Value|Effect|TimeAdded|Age", optional.taint_rule),
    ("resource.k8s.io/v1alpha3", "ResourcePoolStatusRequest"): (
        "Name|Driver|Total|Available|Allocated|Unavailable|Errors|Pools:i|Status|Completed",
        optional.pool_status_request,
    ),
    ("scheduling.k8s.io/v1", "PriorityClass"): ("Name|Value:i|Global-Default:b|Age|PreemptionPolicy", cluster.priority_class),
    ("scheduling.k8s.io/v1alpha2", "PodGroup"): ("Name|Policy|Workload|Status|Age", optional.pod_group),
    ("scheduling.k8s.io/v1alpha2", "Workload"): (_NAMED, cluster.named),
    ("storage.k8s.io/v1", "CSIDriver"): (
        "Name|AttachRequired:b|PodInfoOnMount:b|StorageCapacity:b|TokenRequests|RequiresRepublish:b|Modes|Age",
        cluster.csi_driver,
    ),
    ("storage.k8s.io/v1", "CSINode"): ("Name|Drivers:i|Age", cluster.csi_node),
    ("storage.k8s.io/v1", "StorageClass"): (
        "Name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age",
        cluster.storage_class,
    ),
    ("storage.k8s.io/v1", "VolumeAttachment"): ("Name|Attacher|PV|Node|Attached:b|Age", cluster.volume_attachment),
    ("storage.k8s.io/v1", "VolumeAttributesClass"): ("Name|DriverName|Age", cluster.volume_attributes_class),
    ("storagemigration.k8s.io/v1beta1", "StorageVersionMigration"): ("Name:s|Resource|Status", optional.storage_version_migration),
}

_PLAIN: tuple[str, Cells] = ("Name|Created At:d", cluster.plain)


@cache
def _descriptions() -> dict[str, list[str]]:
    """By kind: what each column says. `@core.v1.PodSpec.nodeName` is what the definitions say of that field."""
    loaded: dict[str, list[str]] = orjson.loads(files("kubetree.api.printers").joinpath("descriptions.json").read_bytes())
    return loaded


@cache
def _field_descriptions() -> dict[str, str]:
    found = {}
    for name, schema in definitions().items():
        short = ".".join(name.split(".")[-3:])
        for field, value in (schema.get("properties") or {}).items():
            found[f"{short}.{field}"] = value.get("description") or ""
    return found


@cache
def _columns(api_version: str, kind: str) -> list[dict[str, Any]]:
    parsed = _parse(_ROWS.get((api_version, kind), _PLAIN)[0])
    for column, text in zip(parsed, _descriptions().get(f"{api_version} {kind}", ()), strict=False):
        column["description"] = _field_descriptions().get(text[1:], "") if text.startswith("@") else text
    return parsed


def columns(kind: Kind) -> list[dict[str, Any]]:
    """metav1.TableColumnDefinitions of the kind. The list is shared: never change it."""
    if kind.behaviour is not None:
        return kind.behaviour.columns()
    own = kind.api_version, kind.kind
    return _columns(*own) if own in _ROWS else _columns(kind.stored_as, kind.kind)


def cells(kind: Kind, obj: Mapping[str, Any], now: datetime) -> list[Any]:
    """One row, a cell a column. `now` (UTC, aware) is what ages are counted to."""
    if kind.behaviour is not None:
        return kind.behaviour.cells(obj, now)
    row = _ROWS.get((kind.api_version, kind.kind))
    if row is None:  # a version that shows the same as the one that it is stored as
        row = _ROWS.get((kind.stored_as, kind.kind), _PLAIN)
    return row[1](obj, now)


def in_order(kind: Kind, objs: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The objects of a list as its rows stand: by name but for FlowSchemas, which stand in the order in which they are tried."""
    if kind.kind == "FlowSchema" and kind.group == "flowcontrol.apiserver.k8s.io":
        return sorted(objs, key=lambda obj: (obj["spec"]["matchingPrecedence"], obj["metadata"]["name"]))
    return objs


def row_conditions(kind: Kind, obj: Mapping[str, Any]) -> list[dict[str, str]]:
    """metav1.TableRowConditions: that a pod has completed or failed."""
    return pods.conditions(obj) if kind.kind == "Pod" and not kind.group else []
