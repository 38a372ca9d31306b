"""What goes to another version comes back the same."""

import copy
from typing import Any

from kubetree.api.conversion import convert
from kubetree.api.defaults import apply_defaults
from kubetree.api.kind_table import kind

EVENT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "e"},
    "involvedObject": {"kind": "Pod", "name": "p"},
    "message": "hello",
    "count": 2,
    "reportingComponent": "kubelet",
}

AUTOSCALER: dict[str, Any] = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "h", "annotations": {"mine": "x"}},
    "spec": {
        "maxReplicas": 3,
        "metrics": [
            {"type": "Pods", "pods": {"metric": {"name": "qps"}, "target": {"type": "AverageValue", "averageValue": "5"}}},
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
        ],
        "behavior": {"scaleDown": {"selectPolicy": "Disabled"}},
    },
    "status": {
        "currentReplicas": 1,
        "desiredReplicas": 2,
        "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageValue": "10m", "averageUtilization": 9}}}],
        "conditions": [{"type": "AbleToScale", "status": "True"}],
    },
}


def test_events() -> None:
    new = convert(EVENT, "events.k8s.io/v1")
    assert new["regarding"] == EVENT["involvedObject"]
    assert (new["note"], new["deprecatedCount"], new["reportingController"]) == ("hello", 2, "kubelet")
    assert convert(new, "v1") == EVENT
    assert (
        not {"reportingController", "reportingInstance"}
        & convert({**EVENT, "reportingComponent": "", "reportingInstance": ""}, "events.k8s.io/v1").keys()
    )


def test_autoscalers() -> None:
    complete = copy.deepcopy(AUTOSCALER)
    apply_defaults(kind("autoscaling/v2", "HorizontalPodAutoscaler"), complete)
    old = convert(complete, "autoscaling/v1")
    assert {k: v for k, v in old["spec"].items() if k != "scaleTargetRef"} == {
        "maxReplicas": 3,
        "minReplicas": 1,
        "targetCPUUtilizationPercentage": 60,
    }
    assert old["status"] == {"currentReplicas": 1, "desiredReplicas": 2, "currentCPUUtilizationPercentage": 9}
    assert convert(old, "autoscaling/v2") == complete
    noted = {**complete, "metadata": {"annotations": {**old["metadata"]["annotations"], "a": "b"}}}
    apply_defaults(kind("autoscaling/v2", "HorizontalPodAutoscaler"), noted)
    assert noted["metadata"] == {"annotations": {"mine": "x", "a": "b"}}


def test_v1_carries_behavior_as_go_prints_the_internal_type() -> None:
    up = {"stabilizationWindowSeconds": 3, "selectPolicy": "Max", "policies": [{"type": "Pods", "value": 1, "periodSeconds": 5}]}
    spec = {"maxReplicas": 3, "scaleTargetRef": {}, "behavior": {"scaleUp": up}}
    old = convert({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {}, "spec": spec}, "autoscaling/v1")
    assert old["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/behavior"] == (
        '{"ScaleUp":{"StabilizationWindowSeconds":3,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":1,"PeriodSeconds":5}],'
        '"Tolerance":null},"ScaleDown":null}'
    )
    assert convert(old, "autoscaling/v2")["spec"]["behavior"]["scaleUp"] == up


def test_the_same_version_is_the_object_itself() -> None:
    assert convert(EVENT, "v1") is EVENT
