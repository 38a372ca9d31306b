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


DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "cars.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "cars", "singular": "car", "kind": "Car", "listKind": "CarList"},
        "versions": [
            {
                "name": name,
                "served": True,
                "storage": name == "v1",
                "schema": {"openAPIV3Schema": {"type": "object"}},
                "subresources": {"status": {}} if name == "v1" else {"status": {}, "scale": {"specReplicasPath": ".spec.replicas"}},
                "additionalPrinterColumns": [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
            }
            for name in ("v1", "v2")
        ],
        "conversion": {
            "strategy": "Webhook",
            "webhook": {"clientConfig": {"service": {"name": "s", "namespace": "n", "port": 443}}, "conversionReviewVersions": ["v1"]},
        },
    },
    "status": {"storedVersions": ["v1"], "conditions": [{"type": "Established", "status": "True"}]},
}


def test_definitions_at_v1beta1_say_once_what_all_versions_have() -> None:
    old = convert(DEFINITION, "apiextensions.k8s.io/v1beta1")
    spec = old["spec"]
    assert (spec["version"], spec["preserveUnknownFields"], spec["validation"]) == ("v1", False, {"openAPIV3Schema": {"type": "object"}})
    assert spec["additionalPrinterColumns"] == [{"name": "Age", "type": "date", "JSONPath": ".metadata.creationTimestamp"}]
    assert "subresources" not in spec
    assert spec["versions"][0] == {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}}
    assert spec["conversion"]["conversionReviewVersions"] == ["v1"]
    assert convert(old, "apiextensions.k8s.io/v1") == DEFINITION


def test_definitions_of_one_version_and_without_a_schema_have_the_defaults_of_v1beta1() -> None:
    names = {"plural": "cars", "kind": "Car"}
    old = {
        "apiVersion": "apiextensions.k8s.io/v1beta1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "cars.example.com"},
        "spec": {"group": "example.com", "version": "v1alpha1", "names": names, "subresources": {"status": {}}},
        "status": {"conditions": None, "storedVersions": None},
    }
    new = convert(old, "apiextensions.k8s.io/v1")
    assert new["spec"] == {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {**names, "singular": "car", "listKind": "CarList"},
        "preserveUnknownFields": True,
        "conversion": {"strategy": "None"},
        "versions": [{"name": "v1alpha1", "served": True, "storage": True, "subresources": {"status": {}}}],
    }
    assert new["status"] == {"storedVersions": ["v1alpha1"]}
    assert old["spec"]["names"] == names
