"""Protobuf and JSON say the same: round trips by the table, and bytes that real clients sent."""

import pytest

from kubetree.api.kind_table import EVERY_ROW
from kubetree.api.protobuf import ProtobufError, decode, encode, encode_event
from kubetree.api.protobuf.envelope import message_name
from kubetree.api.protobuf.table import table

# What kubectl 1.32 sends for `kubectl create configmap a --from-literal=a=b`.
KUBECTL_CONFIGMAP = bytes.fromhex(
    "6b3873000a0f0a0276311209436f6e6669674d6170121b0a110a016112001a0022002a0032003800420012060a01611201621a002200"
)
# And for `kubectl create deployment d --image=nginx --replicas=2 --port=80`.
KUBECTL_DEPLOYMENT = bytes.fromhex(
    "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412b0010a1b0a016412001a0022002a003200380042005a080a0361707012016412"
    "82010802120a0a080a036170701201641a6a0a1a0a0012001a0022002a003200380042005a080a03617070120164124c122e0a056e67696e7812056e"
    "67696e782a00320a0a001000185022002a0042006a007200800100880100900100a201001a00320042004a0052005800600068008201008a01009a01"
    "00c2010022020a00280038001a0c0800100018002000280038001a002200"
)

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"a": ""}, "creationTimestamp": "2026-01-02T03:04:05Z", "generation": 3, "finalizers": ["x/y"]},
    "spec": {
        "containers": [
            {
                "name": "c",
                "image": "i",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k", "optional": False}}}],
                "resources": {"limits": {"cpu": "500m"}, "requests": {"memory": "64Mi"}},
                "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
                "livenessProbe": {"tcpSocket": {"port": 8080}},
                "securityContext": {"runAsUser": 0, "privileged": False},
            }
        ],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "m", "defaultMode": 420}}],
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": -1}],
    },
    "status": {},
}


@pytest.mark.parametrize(
    "obj",
    [
        POD,
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "AAEC/w=="}, "type": "Opaque"},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {},
            "spec": {"replicas": 0, "template": {"metadata": {}, "spec": {}}, "strategy": {}},
            "status": {},
        },
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {}, "spec": {"renewTime": "2026-01-02T03:04:05.000006Z"}},
        {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {}, "data": {"spec": {"x": [1, None]}}, "revision": 4},
        {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": "u"}},
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {"user": "u", "extra": {"k": ["a", "b"]}},
            "status": {},
        },
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {},
            "spec": {
                "group": "g",
                "names": {},
                "versions": [
                    {
                        "name": "v1",
                        "schema": {
                            "openAPIV3Schema": {
                                "type": "object",
                                "maximum": 1.5,
                                "default": {"a": 1},
                                "items": {"type": "string"},
                                "additionalProperties": False,
                                "enum": ["a", 1],
                                "properties": {"p": {"type": "integer", "minLength": 0}},
                            }
                        },
                    }
                ],
            },
            "status": {"acceptedNames": {}},
        },
    ],
    ids=lambda obj: obj["kind"],
)
def test_round_trip(obj: dict[str, object]) -> None:
    assert decode(encode(obj)) == obj


def test_what_kubectl_sends() -> None:
    assert decode(KUBECTL_CONFIGMAP) == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}}


def test_what_kubectl_sends_for_a_deployment() -> None:
    container = {"name": "nginx", "image": "nginx", "ports": [{"containerPort": 80}], "resources": {}}
    assert decode(KUBECTL_DEPLOYMENT)["spec"] == {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "d"}},
        "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [container]}},
        "strategy": {},
    }


def test_bytes_are_what_upstream_sends() -> None:
    """Zero values of what Go holds by value, and the envelope, are sent as well: what kubectl sent is what we send."""
    for sent in (KUBECTL_CONFIGMAP, KUBECTL_DEPLOYMENT):
        assert encode(decode(sent)) == sent


def test_an_event_of_a_watch_is_a_message_with_its_size() -> None:
    obj = encode({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
    event = encode_event("ADDED", obj)
    assert int.from_bytes(event[:4], "big") == len(event) - 4
    assert event[4:].startswith(b"\x0a\x05ADDED\x12") and event.endswith(obj)


def test_a_group_that_looks_like_a_built_in_one_has_no_messages() -> None:
    with pytest.raises(ProtobufError):
        encode({"apiVersion": "apps.example.com/v1", "kind": "Deployment", "metadata": {}})


def test_every_kind_has_a_message_and_every_type_is_known() -> None:
    for row in EVERY_ROW:
        message_name(row.api_version, row.kind)
        if row.stored:
            message_name(row.api_version, f"{row.kind}List")
    scalars = {"string", "bool", "int", "double", "bytes", "time", "micro", "duration", "quantity", "intstr", "raw", "extra"}
    unions = {"schemaOrArray", "schemaOrBool", "schemaOrStrings"}
    for name, fields in table().items():
        for _, type_ in fields.values():
            bare = type_.lstrip("*=~!").removeprefix("[]").removeprefix("{}")
            assert bare in scalars | unions or bare in table(), (name, type_)


@pytest.mark.parametrize(
    "data", [b"", b"k8s", b"k8s\x00\xff", b"{}", b"k8s\x00\x0a\x7f", KUBECTL_CONFIGMAP[:-30], b"k8s\x00\x12\x02\xff\xff"]
)
def test_rubbish_is_an_error_not_a_crash(data: bytes) -> None:
    with pytest.raises(ProtobufError):
        decode(data)
