"""What a trip through upstream's Go types does to an object: each row was seen on upstream's server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubetree.api import errors
from kubetree.api.defaults import apply_defaults
from kubetree.api.kind_table import EVERY_ROW, kind
from kubetree.api.schema import decode, name_of
from kubetree.api.schema.go_values import always, dropped, write_nulls
from kubetree.api.strategies import prepare_for_create, prepare_for_update

Object = dict[str, Any]


def come_out(api_version: str, name: str, obj: Object) -> Object:
    """The object as it is stored, without what every object gets."""
    row = kind(api_version, name)
    made, _ = decode(row, json.dumps(obj).encode())
    made.setdefault("metadata", {}).setdefault("uid", "u")
    apply_defaults(row, made)
    prepare_for_create(row, made)
    made |= {"apiVersion": api_version, "kind": name}
    write_nulls(made)
    return made


def at(obj: Any, path: str) -> Any:
    for part in path.split("."):
        obj = obj[int(part)] if part.isdigit() else obj.get(part, "absent")
    return obj


EVENT = {"involvedObject": {}, "reason": "r"}
POD = {"containers": [{"name": "c", "image": "i"}]}
CASES = [
    ("scheduling.k8s.io/v1", "PriorityClass", {"value": 1, "globalDefault": False}, "globalDefault", "absent"),
    ("batch/v1", "CronJob", {"spec": {"schedule": "* * * * *", "suspend": False, "jobTemplate": {}}}, "spec.suspend", False),
    ("networking.k8s.io/v1", "IPAddress", {"spec": {"parentRef": {"group": "", "name": "s"}}}, "spec.parentRef.group", "absent"),
    ("v1", "PersistentVolumeClaim", {"spec": {"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}}}, "spec.dataSource.apiGroup", None),
    ("v1", "ConfigMap", {"data": {"a": ""}}, "data.a", ""),
    ("v1", "ConfigMap", {"data": {}}, "data", "absent"),
    ("v1", "Event", EVENT, "eventTime", None),
    ("v1", "Event", EVENT, "source", {}),
    ("v1", "Event", EVENT, "reportingComponent", ""),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", {}, "rules", None),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", {"rules": []}, "rules", None),
    ("discovery.k8s.io/v1", "EndpointSlice", {"addressType": "IPv4", "endpoints": []}, "ports", None),
    ("autoscaling/v2", "HorizontalPodAutoscaler", {"spec": {"scaleTargetRef": {}}}, "status.currentMetrics", None),
    ("v1", "Node", {}, "status.daemonEndpoints.kubeletEndpoint.Port", 0),
    ("v1", "Node", {}, "status.nodeInfo.machineID", ""),
    ("networking.k8s.io/v1", "IngressClass", {"spec": {"parameters": {"scope": ""}}}, "spec.parameters.scope", ""),
    ("v1", "Pod", {"spec": {**POD, "hostNetwork": False}}, "spec.hostNetwork", "absent"),
    ("v1", "Pod", {"spec": {**POD, "automountServiceAccountToken": False}}, "spec.automountServiceAccountToken", False),
    # Fields behind gates that are off.
    ("v1", "Pod", {"spec": {"containers": [{"name": "c", "lifecycle": {"stopSignal": "SIGTERM"}}]}}, "spec.containers.0.lifecycle", "absent"),
    ("apps/v1", "StatefulSet", {"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}}}, "spec.updateStrategy.rollingUpdate.maxUnavailable", "absent"),
    ("coordination.k8s.io/v1", "Lease", {"spec": {"strategy": "OldestEmulationVersion"}}, "spec.strategy", "absent"),
    ("v1", "Node", {"spec": {"configSource": {"configMap": {}}}}, "spec.configSource", "absent"),
    # What strategies and conversions do.
    ("v1", "Node", {"spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.1.0.0/24"]}}, "spec.podCIDRs", ["10.0.0.0/24"]),
    ("v1", "Node", {"spec": {"podCIDRs": ["10.1.0.0/24"]}}, "spec.podCIDR", "10.1.0.0/24"),
    ("v1", "PersistentVolumeClaim", {"spec": {"dataSource": {"kind": "Other", "name": "x"}}}, "spec.dataSource", "absent"),
    ("discovery.k8s.io/v1", "EndpointSlice", {"addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"], "deprecatedTopology": {"a": "b"}}]}, "endpoints.0.deprecatedTopology", "absent"),
    ("storage.k8s.io/v1", "CSIDriver", {"spec": {}}, "metadata.generation", "absent"),
    ("batch/v1", "Job", {"spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": POD}}}, "metadata.labels.job-name", ""),
    ("batch/v1", "Job", {"metadata": {"labels": {"c": "d"}}, "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": POD}}}, "metadata.labels", {"c": "d"}),
    ("v1", "Pod", {"spec": {"containers": [{"name": "c", "image": "x" * 300}]}}, "spec.containers.0.imagePullPolicy", "IfNotPresent"),
]  # fmt: skip


@pytest.mark.parametrize(("api_version", "name", "obj", "path", "expected"), CASES)
def test_what_comes_out(api_version: str, name: str, obj: Object, path: str, expected: Any) -> None:
    assert at(come_out(api_version, name, obj), path) == expected


@pytest.mark.parametrize("row", [r for r in EVERY_ROW if name_of(r)], ids=lambda r: f"{r.api_version} {r.kind}")
def test_what_always_is_there_is_never_dropped(row) -> None:
    name = name_of(row)
    assert not dropped(name) & always(name).keys()


def test_a_gated_field_that_is_in_use_stays() -> None:
    row = kind("v1", "Pod")
    old = come_out("v1", "Pod", {"metadata": {"name": "p"}, "spec": POD})
    old["spec"]["containers"][0]["lifecycle"] = {"stopSignal": "SIGTERM"}
    new = json.loads(json.dumps(old))
    prepare_for_update(row, new, old)
    assert new["spec"]["containers"][0]["lifecycle"] == {"stopSignal": "SIGTERM"}


TYPE_ERRORS = [
    ("Pod", {"spec": {"dnsPolicy": 1}}, "json: cannot unmarshal number into Go struct field PodSpec.spec.dnsPolicy of type v1.DNSPolicy"),
    (
        "Pod",
        {"spec": {"volumes": [{"configMap": {"name": True}}]}},
        "json: cannot unmarshal bool into Go struct field ConfigMapVolumeSource.spec.volumes.VolumeSource.configMap.LocalObjectReference.name "
        "of type string",
    ),
    (
        "PersistentVolumeClaim",
        {"spec": {"accessModes": "x"}},
        "json: cannot unmarshal string into Go struct field PersistentVolumeClaimSpec.spec.accessModes of type []v1.PersistentVolumeAccessMode",
    ),
    ("Secret", {"data": {"a": "YQ"}}, "illegal base64 data at input byte 0"),
    ("Secret", {"data": {"a": "YWFh!Q=="}}, "illegal base64 data at input byte 4"),
    ("Secret", {"data": {"a": "YQ="}}, "illegal base64 data at input byte 3"),
]


@pytest.mark.parametrize(("name", "obj", "message"), TYPE_ERRORS)
def test_mistyped_fields_are_named_as_go_does(name: str, obj: Object, message: str) -> None:
    with pytest.raises(errors.BadRequest) as caught:
        decode(kind("v1", name), json.dumps(obj).encode())
    assert str(caught.value.message).endswith(message)
