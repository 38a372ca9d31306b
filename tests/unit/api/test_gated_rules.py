"""Rules and fields that a feature gate changes: the same object with the gate and without."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from api_objects import made
from kubetree.api.feature_gates import DEFAULT_FEATURES
from kubetree.api.kind_table import kind
from kubetree.api.strategies import prepare_for_create
from kubetree.api.validation import validate_create, validate_update

Object = dict[str, Any]
EXTERNAL = {"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}}


def test_an_autoscaler_may_go_down_to_nothing() -> None:
    row, on = kind("autoscaling/v2", "HorizontalPodAutoscaler"), DEFAULT_FEATURES | {"HPAScaleToZero"}
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "minReplicas": 0, "maxReplicas": 2}
    obj = made(row.api_version, row.kind, {"spec": {**spec, "metrics": [EXTERNAL]}})
    assert [str(e) for e in validate_create(row, obj)] == ["spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"]
    assert validate_create(row, obj, features=on) == []
    before = made(row.api_version, row.kind, {"spec": {**spec, "minReplicas": 1}})
    obj["metadata"]["resourceVersion"] = "1"
    assert validate_update(row, obj, before) and not validate_update(row, obj, before, features=on)
    unmeasured = made(row.api_version, row.kind, {"spec": spec})
    why = "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas"
    assert [str(e) for e in validate_create(row, unmeasured, features=on)] == [why]


def test_a_volume_may_move() -> None:
    row, on = kind("v1", "PersistentVolume"), DEFAULT_FEATURES | {"MutablePVNodeAffinity"}

    def at(zone: str) -> Object:
        terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}]
        spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "csi": {"driver": "d.example.com", "volumeHandle": "h"}}
        obj = made(row.api_version, row.kind, {"spec": {**spec, "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}})
        obj["metadata"]["resourceVersion"] = "1"
        return obj

    assert [e.field for e in validate_update(row, at("a"), at("b"))] == ["nodeAffinity"]
    assert validate_update(row, at("a"), at("b"), features=on) == []


@pytest.mark.parametrize(
    ("field", "value", "gate"),
    [
        ("schedulingGroup", {"podGroupName": "g"}, "GenericWorkload"),
        ("containers.0.lifecycle", {"stopSignal": "SIGTERM"}, "ContainerStopSignals"),
        (
            "volumes",
            [{"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"name": "b", "path": "p"}}]}}],
            "ClusterTrustBundleProjection",
        ),
    ],
)
def test_fields_go_without_their_gate(field: str, value: Any, gate: str) -> None:
    row, spec = kind("v1", "Pod"), {"containers": [{"name": "c", "image": "i"}]}
    *parents, last = field.split(".")
    at: Any = spec
    for part in parents:
        at = at[int(part)] if part.isdigit() else at[part]
    at[last] = value
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec}
    kept, dropped = copy.deepcopy(obj), copy.deepcopy(obj)
    prepare_for_create(row, kept, DEFAULT_FEATURES | {gate})
    prepare_for_create(row, dropped, DEFAULT_FEATURES - {gate})
    assert kept["spec"] == spec and dropped["spec"] != spec
