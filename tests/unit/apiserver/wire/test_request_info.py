"""URLs to what they ask for."""

from __future__ import annotations

import pytest

from kubetree.apiserver.wire.request_info import RequestInfo, parse, read


def asked(method: str, path: str, **query: str) -> RequestInfo:
    return parse(method, path, {k: [v] for k, v in query.items()})


def summary(info: RequestInfo) -> tuple[str, str, str, str, str, str]:
    return info.verb, info.group, info.namespace, info.resource, info.name, info.subresource


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/pods", ("list", "", "", "pods", "", "")),
        ("GET", "/api/v1/namespaces/a/pods/p", ("get", "", "a", "pods", "p", "")),
        ("HEAD", "/api/v1/namespaces/a/pods/p", ("get", "", "a", "pods", "p", "")),
        ("POST", "/apis/apps/v1/namespaces/a/deployments", ("create", "apps", "a", "deployments", "", "")),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/d/scale", ("patch", "apps", "a", "deployments", "d", "scale")),
        ("GET", "/api/v1/namespaces/a", ("get", "", "a", "namespaces", "a", "")),
        ("PUT", "/api/v1/namespaces/a/finalize", ("update", "", "a", "namespaces", "a", "finalize")),
        ("DELETE", "/api/v1/namespaces/a/pods", ("deletecollection", "", "a", "pods", "", "")),
        ("GET", "/api/v1/nodes/n/proxy/metrics/x", ("get", "", "", "nodes", "n", "proxy")),
        ("GET", "/api/v1/watch/namespaces/a/pods/p", ("watch", "", "a", "pods", "p", "")),
    ],
)
def test_resource_paths(method: str, path: str, expected: tuple[str, ...]) -> None:
    assert summary(asked(method, path)) == expected


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/apis/apps/v1", "/healthz", "/version"])
def test_other_paths_are_no_resources(path: str) -> None:
    info = asked("GET", path)
    assert (info.is_resource, info.verb) == (False, "get")


def test_a_list_may_be_a_watch_and_may_name_its_object() -> None:
    assert asked("GET", "/api/v1/pods", watch="true").verb == "watch"
    assert asked("GET", "/api/v1/pods", watch="0").verb == "list"
    assert asked("GET", "/api/v1/pods", fieldSelector="a=b,metadata.name=p").name == "p"


def test_a_special_verb_needs_a_resource() -> None:
    with pytest.raises(ValueError):
        asked("GET", "/api/v1/watch")


def test_targets_are_read_once_and_long_ones_are_not_kept() -> None:
    assert read("GET", "/api/v1/pods?watch=1") is read("GET", "/api/v1/pods?watch=1")
    assert read("GET", "/api/v1/pods?watch=1").info.verb == "watch"
    assert read("DELETE", "/api/v1/pods?watch=1").info.verb == "deletecollection"
    long = "/api/v1/pods?labelSelector=" + "x" * 1000
    assert read("GET", long) is not read("GET", long)
    assert read("GET", "/api/v1/namespaces/a%62c/pods?x=%20").path == "/api/v1/namespaces/abc/pods"
    assert read("GET", "/api/v1/watch").refused
