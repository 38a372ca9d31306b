"""Variables, their expansion, and the downward API."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kubetree.kubelet import downward, environment
from kubetree.kubelet.downward import NodeResources, PodAddresses
from kubetree.kubelet.environment import ConfigError, Sources, expand

Object = dict[str, Any]
POD: Object = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"a": "1", "b/c": 'x"y'}, "annotations": {"n": "line\n"}},
    "spec": {
        "nodeName": "node",
        "serviceAccountName": "sa",
        "containers": [{"name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}, "requests": {"cpu": "250m"}}}],
    },
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$(NONE)", "$(NONE)"), ("$$(A)", "$(A)"), ("$A", "$A"), ("$", "$"), ("$$", "$"),
        ("$(A", "$(A"), ("$$$(A)", "$1"), ("$(A)$(A)", "11"),
    ],
)  # fmt: skip
def test_expansion(text: str, result: str) -> None:
    assert expand(text, {"A": "1"}, {"B": "2", "A": "no"}) == result


def test_strict_expansion_names_what_is_missing() -> None:
    with pytest.raises(ConfigError, match="missing value for B"):
        environment.expand_strict("$(A)/$(B)", {"A": "1"})


def test_service_variables() -> None:
    services = [
        {
            "metadata": {"name": "kubernetes", "namespace": "default"},
            "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]},
        },
        {"metadata": {"name": "my-db", "namespace": "ns"}, "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 53, "protocol": "UDP"}]}},
        {"metadata": {"name": "headless", "namespace": "ns"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}},
        {"metadata": {"name": "other", "namespace": "elsewhere"}, "spec": {"clusterIP": "10.96.0.8", "ports": [{"port": 1}]}},
    ]
    variables = environment.service_variables("ns", services, links=True)
    assert variables["KUBERNETES_SERVICE_HOST"] == "10.96.0.1" and variables["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert variables["MY_DB_PORT_53_UDP"] == "udp://10.96.0.9:53" and variables["MY_DB_PORT_53_UDP_ADDR"] == "10.96.0.9"
    assert not any(name.startswith(("HEADLESS", "OTHER")) for name in variables)
    assert all(name.startswith("KUBERNETES") for name in environment.service_variables("ns", services, links=False))


def test_own_variables_win_over_services_and_env_from() -> None:
    container = {"name": "c", "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}], "env": [{"name": "P_A", "value": "own $(SVC)"}]}
    sources = Sources(config_map={"m": {"data": {"A": "map", "B": "2"}}}.get)
    assert environment.build(POD, container, {"SVC": "s", "P_A": "service"}, sources) == {"SVC": "s", "P_A": "own s", "P_B": "2"}


def test_what_is_missing_is_named_as_upstream_names_it() -> None:
    def build(value_from: Object) -> dict[str, str]:
        return environment.build(
            POD, {"name": "c", "env": [{"name": "X", "valueFrom": value_from}]}, {}, Sources(secret={"s": {"data": {}}}.get)
        )

    with pytest.raises(ConfigError, match=r'^configmap "m" not found$'):
        build({"configMapKeyRef": {"name": "m", "key": "k"}})
    with pytest.raises(ConfigError, match=r"^couldn't find key k in Secret ns/s$"):
        build({"secretKeyRef": {"name": "s", "key": "k"}})
    assert build({"secretKeyRef": {"name": "s", "key": "k", "optional": True}}) == {}


def test_secret_bytes_survive() -> None:
    raw = bytes(range(1, 256))
    value = environment.secret_data({"data": {"k": base64.b64encode(raw).decode()}})["k"]
    assert value.encode("utf-8", "surrogateescape") == raw


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"), ("metadata.labels['a']", "1"), ("metadata.labels['none']", ""), ("spec.nodeName", "node"),
        ("status.podIP", "10.0.0.1"), ("status.podIPs", "10.0.0.1,fd00::1"), ("status.hostIP", "192.0.2.1"), ("spec.serviceAccountName", "sa"),
        ("metadata.labels", 'a="1"\nb/c="x\\"y"'), ("metadata.annotations", 'n="line\\n"'),
    ],
)  # fmt: skip
def test_fields(path: str, value: str) -> None:
    assert downward.field_value(POD, path, PodAddresses(("10.0.0.1", "fd00::1"), ("192.0.2.1",))) == value


def test_an_unknown_field() -> None:
    with pytest.raises(downward.FieldError, match=r"unsupported fieldPath: spec\.x"):
        downward.field_value(POD, "spec.x", PodAddresses())


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.cpu"}, "2"), ({"resource": "limits.cpu", "divisor": "1m"}, "1500"), ({"resource": "requests.cpu", "divisor": "1m"}, "250"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "1024"), ({"resource": "limits.memory"}, str(1 << 30)),
        ({"resource": "limits.ephemeral-storage"}, "5000"), ({"resource": "requests.memory"}, "0"),
    ],
)  # fmt: skip
def test_resources(reference: Object, value: str) -> None:
    assert downward.resource_value(POD, "c", reference, NodeResources({"ephemeral-storage": "5k"})) == value
