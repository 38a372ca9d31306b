"""Refusals that print whole values: each row was seen on upstream's server."""

from __future__ import annotations

import pytest

from api_objects import changes, refusals
from kubetree.api.validation.errors import go_json, render
from kubetree.api.validation.go_structs import from_go_struct, go_struct

STRUCTS = [
    ("core.PodResourceClaim", {"name": "a"}, '{"Name":"a","ResourceClaimName":null,"ResourceClaimTemplateName":null}'),
    ("core.Taint", {"key": "k", "effect": "NoSchedule"}, '{"Key":"k","Value":"","Effect":"NoSchedule","TimeAdded":null}'),
    ("rbac.RoleRef", {"kind": "Role"}, '{"APIGroup":"","Kind":"Role","Name":""}'),
    ("storage.VolumeAttachmentSpec", {}, '{"Attacher":"","Source":{"PersistentVolumeName":null,"InlineVolumeSpec":null},"NodeName":""}'),
    (
        "policy.PodDisruptionBudgetSpec",
        {"minAvailable": "50%", "selector": {"matchExpressions": [{"key": "a", "operator": "Exists"}], "matchLabels": {"a": "b"}}},
        '{"MinAvailable":"50%","Selector":{"matchLabels":{"a":"b"},"matchExpressions":[{"key":"a","operator":"Exists"}]},'
        '"MaxUnavailable":null,"UnhealthyPodEvictionPolicy":null}',
    ),
    (
        "resource.DeviceAttribute",
        {"string": "x"},
        '{"IntValue":null,"BoolValue":null,"StringValue":"x","VersionValue":null,"IntValues":null,"BoolValues":null,"StringValues":null,'
        '"VersionValues":null}',
    ),
]


@pytest.mark.parametrize(("name", "value", "expected"), STRUCTS)
def test_a_struct_as_go_prints_it(name: str, value: dict, expected: str) -> None:
    assert render(go_struct(name, value)) == expected


def test_what_a_pod_shares_with_its_host_stands_in_its_security_context() -> None:
    shown = go_struct("core.PodSpec", {"hostNetwork": True, "securityContext": {}})
    assert (shown["SecurityContext"]["HostNetwork"], shown["SecurityContext"]["HostPID"]) == (True, False)


def test_a_templates_metadata_is_embedded() -> None:
    shown = go_struct("core.PodTemplateSpec", {"metadata": {"labels": {"a": "b"}}, "spec": {}})
    assert list(shown) == ["labels", "Spec"]


def test_json_without_html() -> None:
    assert go_json({"a": "<&>"}) == '{"a":"\\u003c\\u0026\\u003e"}'


def test_go_names_are_read_in_any_case() -> None:
    behavior = {"ScaleUp": {"StabilizationWindowSeconds": 3, "policies": [{"TYPE": "Pods", "value": 1}]}, "ScaleDown": None}
    expected = {"scaleUp": {"stabilizationWindowSeconds": 3, "policies": [{"type": "Pods", "value": 1}]}}
    assert from_go_struct("autoscaling.HorizontalPodAutoscalerBehavior", behavior) == expected


POD = {"containers": [{"name": "c", "image": "i"}]}
DEPLOYMENT = {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD}}}
SELECTOR = {"matchLabels": {"a/b/c": "x"}}
CREATIONS = [
    (
        "apps/v1",
        "Deployment",
        {"spec": {**DEPLOYMENT["spec"], "strategy": {"type": "x"}}},
        'spec.strategy: Unsupported value: {"Type":"x","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"',
    ),
    (
        "apps/v1",
        "Deployment",
        {"spec": {**DEPLOYMENT["spec"], "selector": SELECTOR}},
        'spec.selector: Invalid value: {"matchLabels":{"a/b/c":"x"}}: invalid label selector',
    ),
    (
        "v1",
        "Pod",
        {"spec": {**POD, "volumes": [{"name": "v", "cephfs": {"monitors": ["a"]}, "emptyDir": {}}]}},
        "spec.volumes[0].cephFS: Forbidden: may not specify more than 1 volume type",
    ),
    (
        "v1",
        "Secret",
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "YQ=="}},
        "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'a' looking for beginning of value",
    ),
    (
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        {"spec": {"maxReplicas": 1, "scaleTargetRef": {"apiVersion": "v1", "kind": "Deployment", "name": "d"}}},
        'spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group',
    ),
    (
        "events.k8s.io/v1",
        "Event",
        {"involvedObject": {}, "type": "Normal"},
        "eventTime: Required value",
    ),
]


@pytest.mark.parametrize(("api_version", "name", "obj", "expected"), CREATIONS)
def test_creations(api_version: str, name: str, obj: dict, expected: str) -> None:
    assert expected in refusals(api_version, name, obj)


UPDATES = [
    (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        {"roleRef": {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}},
        {"roleRef.name": "s"},
        ['roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"s"}: cannot change roleRef'],
    ),
    (
        "v1",
        "Node",
        {},
        {"spec.taints": [{"key": "k", "effect": "x"}]},
        ['metadata.taints[0].effect: Unsupported value: "x": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"'] * 2,
    ),
    (
        "v1",
        "PersistentVolumeClaim",
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
        {"spec.volumeMode": "Block"},
        [
            "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"
            '@@ -11,7 +11,7 @@\n  },\n  "VolumeName": "",\n  "StorageClassName": null,\n- "VolumeMode": "Filesystem",\n+ "VolumeMode": "Block",\n'
            '  "DataSource": null,\n  "DataSourceRef": null,\n  "VolumeAttributesClassName": null\n',
            'volumeMode: Invalid value: "Block": field is immutable',
        ],
    ),
    ("v1", "Pod", {"spec": POD}, {"spec.affinity": {}}, 1),
]  # fmt: skip


@pytest.mark.parametrize(("api_version", "name", "old", "change", "expected"), UPDATES)
def test_updates(api_version: str, name: str, old: dict, change: dict, expected: list[str] | int) -> None:
    found = changes(api_version, name, old, change)
    assert found == expected if isinstance(expected, list) else len(found) == expected
