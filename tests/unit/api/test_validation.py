"""Refusals carry upstream's words, types and field paths."""

import copy
from typing import Any

import pytest

from api_objects import changes, made, refusals
from kubetree.api.kind_table import kind
from kubetree.api.validation import validate_create, validate_update

Object = dict[str, Any]
CONTAINER: Object = {"name": "c", "image": "nginx"}


def pod(**parts: Any) -> Object:
    return {"spec": {"containers": [CONTAINER | parts]}}


SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)

TEMPLATE: Object = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}
SELECTED: Object = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}


@pytest.mark.parametrize(
    ("api_version", "name", "obj", "expected"),
    [
        ("v1", "Pod", pod(), []),
        ("v1", "Pod", {"metadata": {"name": "Bad_Name"}} | pod(), [f'metadata.name: Invalid value: "Bad_Name": {SUBDOMAIN}']),
        ("v1", "Pod", {"metadata": {"labels": {"a": "-x"}}} | pod(), [f'metadata.labels: Invalid value: "-x": {VALUE}']),
        (
            "v1",
            "Pod",
            {"metadata": {"finalizers": ["mine"]}} | pod(),
            ['metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified'],
        ),
        ("v1", "Pod", {"spec": {}}, ["spec.containers: Required value"]),
        ("v1", "Pod", pod(image=""), ["spec.containers[0].image: Required value"]),
        ("v1", "Pod", pod(name="A b"), [f'spec.containers[0].name: Invalid value: "A b": {LABEL}']),
        (
            "v1",
            "Pod",
            pod(ports=[{"containerPort": 0}, {"containerPort": 70000, "protocol": "ICMP"}]),
            [
                "spec.containers[0].ports[0].containerPort: Required value",
                "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
                'spec.containers[0].ports[1].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
            ],
        ),
        (
            "v1",
            "Pod",
            pod(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "500m"}}),
            ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 500m'],
        ),
        ("v1", "Pod", pod(volumeMounts=[{"name": "v", "mountPath": "/x"}]), ['spec.containers[0].volumeMounts[0].name: Not found: "v"']),
        (
            "v1",
            "Pod",
            pod(livenessProbe={"httpGet": {"port": "Web"}, "successThreshold": 2}),
            [
                'spec.containers[0].livenessProbe.httpGet.port: Invalid value: "Web": must contain only alpha-numeric characters '
                "(a-z, 0-9), and hyphens (-)",
                "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            ],
        ),
        ("v1", "Pod", pod(livenessProbe={}), ["spec.containers[0].livenessProbe: Required value: must specify a handler type"]),
        (
            "v1",
            "Pod",
            {"spec": {"containers": [CONTAINER], "tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}},
            ['spec.tolerations[0].operator: Invalid value: "x": value must be empty when `operator` is \'Exists\''],
        ),
        (
            "v1",
            "Pod",
            {"spec": {"containers": [CONTAINER], "volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]}},
            ['spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain \'..\''],
        ),
        (
            "apps/v1",
            "Deployment",
            {"spec": SELECTED | {"selector": {"matchLabels": {"a": "c"}}}},
            ['spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`'],
        ),
        (
            "apps/v1",
            "Deployment",
            {"spec": {"template": TEMPLATE}},
            [
                "spec.selector: Required value",
                'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`',
            ],
        ),
        (
            "batch/v1",
            "Job",
            {"spec": {"template": TEMPLATE}},
            ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
        ),
        ("v1", "Service", {"spec": {}}, ["spec.ports: Required value"]),
        (
            "v1",
            "Service",
            {"spec": {"ports": [{"port": 80}, {"port": 80}]}},
            [
                "spec.ports[0].name: Required value",
                "spec.ports[1].name: Required value",
                'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
            ],
        ),
        (
            "v1",
            "Service",
            {"spec": {"ports": [{"port": 80}], "clusterIP": "10.0.0.300", "clusterIPs": ["10.0.0.300"]}},
            ['spec.clusterIPs[0]: Invalid value: "10.0.0.300": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
        ),
        ("v1", "Namespace", {"metadata": {"name": "a.b"}}, ['metadata.name: Invalid value: "a.b": must not contain dots']),
        ("v1", "Secret", {"type": "kubernetes.io/tls"}, ["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
        (
            "rbac.authorization.k8s.io/v1",
            "Role",
            {"rules": [{"apiGroups": [""], "resources": ["pods"]}]},
            ["rules[0].verbs: Required value: verbs must contain at least one value"],
        ),
        (
            "networking.k8s.io/v1",
            "Ingress",
            {"spec": {}},
            ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"],
        ),
        (
            "batch/v1",
            "CronJob",
            {"spec": {"schedule": "61 * * * *", "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}}}}},
            ['spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61'],
        ),
    ],
)  # fmt: skip
def test_creation(api_version: str, name: str, obj: Object, expected: list[str]) -> None:
    assert refusals(api_version, name, obj) == expected


UPDATABLE = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)


def test_a_pods_image_may_change_and_its_command_may_not() -> None:
    assert changes("v1", "Pod", pod(), {"spec.containers.0.image": "nginx:2"}) == []
    (error,) = changes("v1", "Pod", pod(), {"spec.containers.0.command": ["x"]})
    assert error.startswith(UPDATABLE)
    assert '-   "Command": null,\n+   "Command": [\n+    "x"\n+   ],' in error


def test_pods_do_not_gain_containers() -> None:
    errors = changes("v1", "Pod", pod(), {"spec.containers": [CONTAINER, CONTAINER | {"name": "d"}]})
    assert errors == ["spec.containers: Forbidden: pod updates may not add or remove containers"]


@pytest.mark.parametrize(
    ("api_version", "name", "old", "change", "expected"),
    [
        (
            "apps/v1",
            "Deployment",
            {"spec": SELECTED},
            {"spec.selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}},
            [
                'spec.selector: Invalid value: {"matchLabels":{"a":"b"},"matchExpressions":[{"key":"a","operator":"Exists"}]}: '
                "field is immutable"
            ],
        ),
        (
            "v1",
            "Service",
            {"spec": {"ports": [{"port": 80}], "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}},
            {"spec.clusterIP": "10.0.0.2", "spec.clusterIPs": ["10.0.0.2"]},
            ['spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set'],
        ),
        ("v1", "ConfigMap", {}, {"metadata.name": "y"}, ['metadata.name: Invalid value: "y": field is immutable']),
        ("v1", "ConfigMap", {}, {"metadata.uid": "v"}, ['metadata.uid: Invalid value: "v": field is immutable']),
        (
            "v1",
            "ConfigMap",
            {"immutable": True, "data": {"a": "b"}},
            {"data.a": "c"},
            ["data: Forbidden: field is immutable when `immutable` is set"],
        ),
        ("v1", "Secret", {"type": "Opaque"}, {"type": "mine"}, ['type: Invalid value: "mine": field is immutable']),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            {"spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}},
            {"spec.ingress.0.from.1.ipBlock.except": [""]},
            [
                'spec.ingress[0].from[1].ipBlock.except[0]: Invalid value: "": must be a valid CIDR value, '
                "(e.g. 10.9.8.0/24 or 2001:db8::/64)"
            ],
        ),
        (
            "resource.k8s.io/v1",
            "ResourceClaim",
            {"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}},
            {"spec.devices.requests.0.name": "A b"},
            [
                'spec: Invalid value: {"Devices":{"Requests":[{"Name":"A b","Exactly":{"DeviceClassName":"c","Selectors":null,'
                '"AllocationMode":"ExactCount","Count":1,"AdminAccess":null,"Tolerations":null,"Capacity":null},"FirstAvailable":null}],'
                '"Constraints":null,"Config":null}}: field is immutable'
            ],
        ),
        (
            "discovery.k8s.io/v1",
            "EndpointSlice",
            {"addressType": "FQDN", "endpoints": [{"addresses": ["a.b"]}]},
            {"endpoints.0.addresses": [""]},
            ["endpoints[0].addresses[0]: Required value"],
        ),
        ("batch/v1", "Job", {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}}}, {"spec.completions": 5},
         ["spec.completions: Invalid value: 5: field is immutable"]),
    ],
)  # fmt: skip
def test_updates(api_version: str, name: str, old: Object, change: Object, expected: list[str]) -> None:
    assert changes(api_version, name, old, change) == expected


def test_status_of_a_terminated_container_stays() -> None:
    old = made("v1", "Pod", {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}})
    old["metadata"]["resourceVersion"] = "1"
    old["status"]["containerStatuses"] = [{"name": "c", "state": {"terminated": {"exitCode": 1}}}]
    new = copy.deepcopy(old)
    new["status"]["containerStatuses"][0]["state"] = {"running": {}}
    errors = [str(e) for e in validate_update(kind("v1", "Pod"), new, old, "status")]
    assert errors == ["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"]
    assert validate_update(kind("v1", "Pod"), old, old, "status") == []


def test_causes_name_the_field_and_the_sort_of_error() -> None:
    (error,) = validate_create(kind("v1", "Pod"), made("v1", "Pod", pod(image="")))
    assert error.to_cause().to_dict() == {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.containers[0].image"}
