"""Each built-in kind, from the least that may be written of it: defaulted, prepared, valid, printable."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from kubetree.api.defaults import apply_defaults
from kubetree.api.kind_table import EVERY_ROW
from kubetree.api.kinds import Kind
from kubetree.api.printers import cells, columns
from kubetree.api.strategies import prepare_for_create, prepare_for_update, selectable_fields
from kubetree.api.validation import validate_create, validate_update
from kubetree.api.warnings import warnings

Object = dict[str, Any]
CONTAINER: Object = {"name": "c", "image": "nginx", "resources": {}, "terminationMessagePath": "/dev/termination-log"}
TEMPLATE: Object = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}
SELECTOR: Object = {"matchLabels": {"a": "b"}}
JOB: Object = {"template": {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}}
ROLE_REF: Object = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}
HOOK: Object = {
    "name": "a.example.com",
    "clientConfig": {"service": {"name": "s", "namespace": "n"}},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
}
RULE: Object = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
REVIEW: Object = {"spec": {"user": "u", "resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}}}
CSR = (
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIQU1HZ0NBUUF3QmpFRU1BSUdBUUF3S2pBRkJnTXJaWEFESVFBPQotLS0tLUVORCBDRVJUSUZJ"
    "Q0FURSBSRVFVRVNULS0tLS0K"
)
AUTHORITY = (
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBGTCBwKADAgECAgEHMAoGCCqGSM49BAMCMAwxCjAIBgNVBAMMAWEwHhcNMjYx\n"
    "MTI3MDAwMDAwWhcNMjcwOTIzMDAwMDAwWjAMMQowCAYDVQQDDAFhMFkwEwYHKoZI\n"
    "zj0CAQYIKoZIzj0DAQcDQgAEOjF2VJnNjcxdMBGo2yW5CPBUeXBEAQ3dveYCDmMQ\n"
    "eEcP3PQDfAKuVF5oGGlSevl4mGZe8CuAh/x7T9HOzEIenKMTMBEwDwYDVR0TAQH/\n"
    "BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiA4Qy48L7rPsRVOyCGuRuaFf0uqL8M6\n"
    "c+chlLOukO4RaQIhAMtBvFUw+4Yr7bgc++SNI5lLonBExbdEK06dBy5ARqZO\n"
    "-----END CERTIFICATE-----\n"
)
CERTIFICATE_REQUEST = (
    "MIG6MGICAQAwADBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDoxdlSZzY3MXTARqNsluQjwVHlwRAEN3b3mAg5jEHhHD9z0A3wC"
    "rlReaBhpUnr5eJhmXvArgIf8e0/RzsxCHpygADAKBggqhkjOPQQDAgNIADBFAiEArEJRcroqmvlTovFAY9Ag3ZV06NGHrXafHOM/"
    "+216lvQCIBm5kgoWNs09pnYr6Y5DGV4fX5BdaXCQDtwcU7i8YOAR"
)
LEAST: dict[str, Object] = {
    "Binding": {"target": {"kind": "Node", "name": "n"}},
    "Event": {
        "involvedObject": {"namespace": "default"},
        "regarding": {"namespace": "default"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/c",
        "reportingInstance": "i",
        "action": "a",
        "reason": "r",
        "type": "Normal",
    },
    "PersistentVolumeClaim": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
    "PersistentVolume": {
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}},
    },
    "Pod": {"spec": {"containers": [CONTAINER]}},
    "PodTemplate": {"template": TEMPLATE},
    "ReplicationController": {"spec": {"selector": {"a": "b"}, "template": TEMPLATE}},
    "Service": {"spec": {"ports": [{"port": 80}]}},
    "APIService": {
        "metadata": {"name": "v1.example.com"},
        "spec": {
            "group": "example.com",
            "version": "v1",
            "groupPriorityMinimum": 1,
            "versionPriority": 1,
            "service": {"name": "s", "namespace": "n"},
            "insecureSkipTLSVerify": True,
        },
    },
    "ControllerRevision": {"revision": 1, "data": {"a": 1}},
    "DaemonSet": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "Deployment": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "ReplicaSet": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "StatefulSet": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "SubjectAccessReview": REVIEW,
    "LocalSubjectAccessReview": REVIEW,
    "SelfSubjectAccessReview": {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}},
    "HorizontalPodAutoscaler": {"spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "apiVersion": "apps/v1", "name": "d"}}},
    "CronJob": {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": JOB}}},
    "Job": {"spec": JOB},
    "IngressClass": {"spec": {"controller": "example.com/c"}},
    "Ingress": {"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}},
    "IPAddress": {"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "s"}}},
    "NetworkPolicy": {"spec": {"podSelector": {}}},
    "ServiceCIDR": {"spec": {"cidrs": ["10.0.0.0/16"]}},
    "PodDisruptionBudget": {"spec": {"minAvailable": 1, "selector": SELECTOR}},
    "ClusterRoleBinding": {"roleRef": ROLE_REF, "subjects": [{"kind": "User", "name": "u"}]},
    "RoleBinding": {"roleRef": ROLE_REF, "subjects": [{"kind": "ServiceAccount", "name": "u", "namespace": "n"}]},
    "CSIDriver": {"spec": {}},
    "CSINode": {"spec": {"drivers": [{"name": "d.example.com", "nodeID": "i"}]}},
    "CSIStorageCapacity": {"storageClassName": "s"},
    "StorageClass": {"provisioner": "example.com/p"},
    "VolumeAttachment": {"spec": {"attacher": "example.com", "nodeName": "n", "source": {"persistentVolumeName": "p"}}},
    "VolumeAttributesClass": {"driverName": "example.com", "parameters": {"a": "b"}},
    "MutatingAdmissionPolicy": {
        "spec": {
            "matchConstraints": {"resourceRules": [RULE]},
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": '[JSONPatch{op: "test", path: "/a"}]'}}],
        }
    },
    "MutatingAdmissionPolicyBinding": {"spec": {"policyName": "p"}},
    "MutatingWebhookConfiguration": {"webhooks": [HOOK]},
    "ValidatingAdmissionPolicy": {
        "spec": {
            "matchConstraints": {"resourceRules": [RULE]},
            "validations": [{"expression": "true"}],
        }
    },
    "ValidatingAdmissionPolicyBinding": {"spec": {"policyName": "p", "validationActions": ["Deny"]}},
    "ValidatingWebhookConfiguration": {"webhooks": [HOOK]},
    "CustomResourceDefinition": {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    },
    "PriorityClass": {"value": 1},
    "RuntimeClass": {"handler": "h"},
    "EndpointSlice": {"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.1.1"]}]},
    "ResourceClaim": {"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}},
    "ResourceClaimTemplate": {"spec": {"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}}},
    "ResourceSlice": {
        "spec": {
            "driver": "d.example.com",
            "nodeName": "n",
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "d", "attributes": {"model": {"string": "m"}}, "capacity": {"memory": {"value": "1Gi"}}}],
        }
    },
    "ClusterTrustBundle": {"spec": {"trustBundle": AUTHORITY}},
    "PodCertificateRequest": {
        "spec": {
            "signerName": "example.com/s",
            **{f"{what}{field}": "u" for what in ("pod", "serviceAccount", "node") for field in ("Name", "UID")},
            "stubPKCS10Request": CERTIFICATE_REQUEST,
        }
    },
    "LeaseCandidate": {
        "spec": {"leaseName": "l", "binaryVersion": "1.2.3", "emulationVersion": "1.2.0", "strategy": "OldestEmulationVersion"}
    },
    "PodGroup": {"spec": {"schedulingPolicy": {"basic": {}}}},
    "Workload": {"spec": {"podGroupTemplates": [{"name": "t", "schedulingPolicy": {"gang": {"minCount": 1}}}]}},
    "DeviceTaintRule": {"spec": {"taint": {"key": "k", "effect": "NoSchedule"}}},
    "ResourcePoolStatusRequest": {"spec": {"driver": "d.example.com"}},
    "StorageVersion": {"metadata": {"name": "core.things"}},
    "StorageVersionMigration": {"spec": {"resource": {"resource": "pods"}}},
    "FlowSchema": {"spec": {"priorityLevelConfiguration": {"name": "p"}, "matchingPrecedence": 100}},
    "PriorityLevelConfiguration": {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}},
}
UNWRITABLE = ("ComponentStatus", "CertificateSigningRequest")


def made(row: Kind) -> Object:
    obj: Object = {"apiVersion": row.api_version, "kind": row.kind, **copy.deepcopy(LEAST.get(row.kind, {}))}
    if row.group == "authorization.k8s.io":
        obj["metadata"] = {"namespace": "default"} if row.namespaced else {}
        apply_defaults(row, obj)
        return obj
    if row.kind == "Event":  # whatever the version of the request, it is the stored form that is checked
        obj["reportingComponent"] = obj.pop("reportingController")
    metadata = {"name": "x", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z", **obj.get("metadata", {})}
    if row.namespaced:
        metadata["namespace"] = "default"
    obj["metadata"] = metadata
    apply_defaults(row, obj)
    prepare_for_create(row, obj)
    return obj


@pytest.mark.parametrize(
    "row",
    [r for r in EVERY_ROW if r.kind not in UNWRITABLE and (not r.optional or r.stored_as == r.api_version)],
    ids=lambda r: f"{r.api_version} {r.kind}",
)
def test_the_least_is_enough(row: Kind) -> None:
    obj = made(row)
    assert [str(e) for e in validate_create(row, obj)] == []
    assert warnings(row, obj, None) == []
    again = copy.deepcopy(obj)
    apply_defaults(row, again)
    assert again == obj, "defaults must not change what is defaulted"
    if not row.stored:
        return
    old = {**obj, "metadata": {**obj["metadata"], "resourceVersion": "1"}}
    for subresource in ("", *(s.name for s in row.subresources if s.name in ("status", "finalize", "approval"))):
        new = copy.deepcopy(old)
        apply_defaults(row, new)
        prepare_for_update(row, new, old, subresource)
        assert [str(e) for e in validate_update(row, new, old, subresource)] == []
        assert new == old, "an update of nothing changes nothing"
        assert warnings(row, new, old, subresource) == []
    assert selectable_fields(row, obj)["metadata.name"] == obj["metadata"]["name"]
    assert len(cells(row, obj, datetime(2026, 1, 1, tzinfo=UTC))) == len(columns(row)) + (row.kind == "IPAddress")
