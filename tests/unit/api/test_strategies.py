"""Status and generation belong to the server."""

import json
from typing import Any

import pytest

from kubetree.api.kind_table import kind
from kubetree.api.kinds import STATUS, Kind
from kubetree.api.strategies import (
    default_grace_period,
    field_label_supported,
    prepare_for_create,
    prepare_for_update,
    selectable_fields,
    unsupported_field_label,
)
from kubetree.api.strategies.pods import qos_class

POD, DEPLOYMENT, SERVICE = kind("v1", "Pod"), kind("apps/v1", "Deployment"), kind("v1", "Service")
WIDGET = Kind("example.com", "v1", "Widget", "widgets", subresources=(STATUS,))


def copied(obj: dict[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.dumps(obj))
    return value


def test_create_resets_status_and_starts_the_generation() -> None:
    obj = {"metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}, "status": {"replicas": 3}}
    prepare_for_create(DEPLOYMENT, obj)
    assert obj == {"metadata": {"name": "x", "generation": 1}, "spec": {}, "status": {}}


@pytest.mark.parametrize(
    ("change", "generation"),
    [
        ({"spec": {"replicas": 2}}, 2),
        ({"metadata": {"name": "x", "annotations": {"a": "b"}}}, 2),
        ({"metadata": {"name": "x", "labels": {"a": "b"}, "generation": 9}}, 1),
        ({"status": {"replicas": 3}}, 1),
        ({"spec": {"replicas": 1, "selector": None}}, 1),
    ],
)
def test_only_changes_of_what_is_desired_bump_the_generation(change: dict[str, Any], generation: int) -> None:
    old = {"metadata": {"name": "x", "uid": "u", "generation": 1}, "spec": {"replicas": 1}, "status": {"replicas": 1}}
    new = copied(old) | change
    prepare_for_update(DEPLOYMENT, new, old)
    assert new["metadata"]["generation"] == generation
    assert new["status"] == {"replicas": 1}
    assert new["metadata"]["uid"] == "u"


def test_status_updates_leave_the_spec() -> None:
    old = {"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"replicas": 1}, "status": {}}
    new = {"metadata": {"name": "x"}, "spec": {"replicas": 7}, "status": {"replicas": 2}}
    prepare_for_update(DEPLOYMENT, new, old, "status")
    assert new == {"metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"replicas": 1}, "status": {"replicas": 2}}


def test_custom_resources_follow_the_same_rules() -> None:
    obj: dict[str, Any] = {"metadata": {"name": "x"}, "data": 1, "status": {"x": 1}}
    prepare_for_create(WIDGET, obj)
    assert obj == {"metadata": {"name": "x", "generation": 1}, "data": 1}
    new = copied(obj) | {"data": 2}
    prepare_for_update(WIDGET, new, obj)
    assert new["metadata"]["generation"] == 2
    new = copied(obj) | {"data": 2, "status": {"x": 2}}
    prepare_for_update(WIDGET, new, obj, "status")
    assert new == {"metadata": {"name": "x", "generation": 1}, "data": 1, "status": {"x": 2}}


def containers(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"containers": [{"resources": r} for r in resources]}


FULL = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (containers({}), "BestEffort"),
        (containers({"limits": {"cpu": "0"}}), "BestEffort"),
        (containers(FULL), "Guaranteed"),
        (containers(FULL, {}), "Burstable"),
        (containers({"requests": {"cpu": "1"}}), "Burstable"),
        (containers({}) | {"resources": FULL}, "Guaranteed"),
    ],
)
def test_quality_of_service(spec: dict[str, Any], expected: str) -> None:
    assert qos_class(spec) == expected


@pytest.mark.parametrize(
    ("pod", "options", "seconds"),
    [
        ({"spec": {"terminationGracePeriodSeconds": 30}}, {}, 0),
        ({"spec": {"terminationGracePeriodSeconds": 30, "nodeName": "n"}}, {}, 30),
        ({"spec": {"terminationGracePeriodSeconds": 30, "nodeName": "n"}}, {"gracePeriodSeconds": 5}, 5),
        ({"spec": {"terminationGracePeriodSeconds": -1, "nodeName": "n"}}, {}, 1),
        ({"spec": {"terminationGracePeriodSeconds": 30, "nodeName": "n"}, "status": {"phase": "Failed"}}, {}, 0),
    ],
)
def test_grace_period(pod: dict[str, Any], options: dict[str, Any], seconds: int) -> None:
    assert default_grace_period(POD, pod, options) == seconds


def test_a_job_selects_its_own_pods() -> None:
    job: dict[str, Any] = {"metadata": {"name": "j", "uid": "u"}, "spec": {"template": {"spec": {}}}}
    prepare_for_create(kind("batch/v1", "Job"), job)
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    assert job["spec"]["template"]["metadata"]["labels"]["job-name"] == "j"


def test_a_service_keeps_what_was_allocated_and_gives_it_up_with_its_type() -> None:
    old = {
        "metadata": {"name": "s"},
        "spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80, "nodePort": 30000}]},
    }
    new: dict[str, Any] = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    prepare_for_update(SERVICE, new, old)
    assert new["spec"] == old["spec"]
    new = copied(old)
    new["spec"]["type"] = "ExternalName"
    prepare_for_update(SERVICE, new, old)
    assert new["spec"] == {"type": "ExternalName", "ports": [{"port": 80}]}


def test_field_labels() -> None:
    pod = {"metadata": {"name": "p", "namespace": "d"}, "spec": {"nodeName": "n"}, "status": {"podIPs": [{"ip": "1.2.3.4"}]}}
    fields = selectable_fields(POD, pod)
    assert fields["spec.nodeName"] == "n"
    assert fields["status.podIP"] == "1.2.3.4"
    assert fields["metadata.namespace"] == "d"
    assert field_label_supported(POD, "spec.host")
    assert not field_label_supported(POD, "spec.containers")
    assert field_label_supported(SERVICE, "metadata.name")
    assert not field_label_supported(kind("apps/v1", "ReplicaSet"), "status.replicas")
    assert field_label_supported(kind("v1", "PersistentVolume"), "metadata.namespace"), "which nothing has"
    assert not field_label_supported(kind("v1", "Node"), "metadata.namespace")


@pytest.mark.parametrize(
    ("api_version", "name", "message"),
    [
        ("v1", "Pod", "field label not supported: a"),
        ("batch/v1", "Job", 'field label "a" not supported for Job'),
        ("resource.k8s.io/v1", "ResourceSlice", "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: a"),
        ("v1", "ConfigMap", '"a" is not a known field selector: only "metadata.name", "metadata.namespace"'),
    ],
)
def test_unknown_field_labels(api_version: str, name: str, message: str) -> None:
    assert unsupported_field_label(kind(api_version, name), "a") == message


def test_the_resize_subresource_changes_only_resources() -> None:
    old = {"metadata": {"name": "p", "generation": 1}, "spec": {"containers": [{"name": "a", "image": "x", "resources": {}}]}, "status": {}}
    new = copied(old)
    new["spec"]["containers"][0] |= {"image": "y", "resources": {"limits": {"cpu": "1"}}}
    prepare_for_update(POD, new, old, "resize")
    assert new["spec"]["containers"] == [{"name": "a", "image": "x", "resources": {"limits": {"cpu": "1"}}}]
    assert new["metadata"]["generation"] == 2
