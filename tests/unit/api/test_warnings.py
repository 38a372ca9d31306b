"""Warnings carry upstream's words."""

import copy
from typing import Any

import pytest

from kubetree.api.kind_table import kind
from kubetree.api.warnings import deprecation, warnings

Object = dict[str, Any]


def told(api_version: str, name: str, obj: Object, old: Object | None = None, subresource: str = "") -> list[str]:
    obj = {"metadata": {"name": "x"}, **copy.deepcopy(obj)}
    return warnings(kind(api_version, name), obj, {"metadata": {"name": "x"}, **old} if old is not None else None, subresource)


@pytest.mark.parametrize(
    ("api_version", "name", "obj", "expected"),
    [
        ("v1", "Pod", {"spec": {"containers": [{"name": "c"}]}}, []),
        (
            "v1",
            "Pod",
            {"metadata": {"name": "a.b"}, "spec": {}},
            [
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: "
                "[must not contain dots]"
            ],
        ),
        (
            "v1",
            "Pod",
            {"spec": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}},
            ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
        ),
        (
            "v1",
            "Pod",
            {"spec": {"containers": [{"name": "c", "resources": {"limits": {"memory": "100m"}}}]}},
            ['spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer'],
        ),
        (
            "apps/v1",
            "Deployment",
            {"spec": {"template": {"spec": {"containers": [{"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]}}}},
            ['spec.template.spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'],
        ),
        (
            "v1",
            "Pod",
            {
                "spec": {
                    "containers": [
                        {"name": "a", "ports": [{"name": "web", "containerPort": 80, "protocol": "TCP"}]},
                        {"name": "b", "ports": [{"name": "web", "containerPort": 80, "protocol": "TCP"}]},
                    ]
                }
            },
            [
                "spec.containers[1].ports[0]: duplicate port definition with spec.containers[0].ports[0]",
                'spec.containers[1].ports[0]: duplicate port name "web" with spec.containers[0].ports[0], services and probes that select '
                "ports by name will use spec.containers[0].ports[0]",
            ],
        ),
        (
            "v1",
            "Pod",
            {
                "spec": {
                    "volumes": [
                        {"name": "v", "configMap": {"name": "m", "items": [{"key": "a", "path": "p"}, {"key": "b", "path": "p/q"}]}}
                    ]
                }
            },
            ['volume "v" (ConfigMap "m"): overlapping paths: "p/q" with "p"'],
        ),
        (
            "v1",
            "Service",
            {"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "externalIPs": ["010.1.1.1"]}},
            [
                'spec.externalIPs[0]: non-standard IP address "010.1.1.1" is invalid: use "10.1.1.1"',
                "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
            ],
        ),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            {"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}]}},
            [
                'spec.ingress[0].from[0].ipBlock.cidr: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or '
                '"10.0.0.1/32"?)'
            ],
        ),
        ("v1", "Secret", {"type": "kubernetes.io/tls", "data": {}}, ["tls: failed to find any PEM data in certificate input"]),
        ("discovery.k8s.io/v1", "EndpointSlice", {"addressType": "FQDN"}, ["spec.addressType: FQDN endpoints are deprecated"]),
    ],
)
def test_creation(api_version: str, name: str, obj: Object, expected: list[str]) -> None:
    assert told(api_version, name, obj) == expected


def test_updates_of_pods_warn_of_nothing() -> None:
    assert told("v1", "Pod", {"spec": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}}, {}) == []


def test_addresses_in_a_status() -> None:
    status = {"status": {"podIPs": [{"ip": "::0001"}]}}
    assert told("v1", "Pod", status, {}, "status") == [
        'status.podIPs[0].ip: IPv6 address "::0001" should be in RFC 5952 canonical format ("::1")'
    ]


def test_deprecated_kinds() -> None:
    assert deprecation(kind("v1", "Endpoints")) == "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    assert deprecation(kind("v1", "Pod")) == ""
