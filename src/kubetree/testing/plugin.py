"""pytest plugin: a cluster for a session, a namespace for each test. See docs/testing.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kubetree.testing.background import BackgroundCluster

# Modules that look at $KUBECONFIG once: imported before the test, they would lead to whatever cluster the developer uses.
_READ_WHEN_IMPORTED = tuple(
    f"{package}.config{module}" for package in ("kubernetes", "kubernetes_asyncio") for module in ("", ".kube_config")
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kubetree")
    group.addoption("--kubetree-nodes", type=int, default=1, metavar="N", help="simulated nodes of the session's cluster (default: 1)")
    parser.addini("kubetree_nodes", "simulated nodes of the session's cluster", default="")


@pytest.fixture(scope="session")
def kubetree_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the session's cluster is made with. Override it in a conftest.py for other nodes, controllers or settings."""
    nodes = request.config.getini("kubetree_nodes") or request.config.getoption("--kubetree-nodes")
    return {"nodes": int(nodes)}


@pytest.fixture(scope="session")
def kubetree_cluster(kubetree_options: dict[str, Any]) -> Iterator[BackgroundCluster]:
    """A cluster for all tests of the session, started with the first that asks for it."""
    from kubetree.testing.background import BackgroundCluster

    with BackgroundCluster(**kubetree_options) as cluster:
        yield cluster


@pytest.fixture
def kubetree_namespace(kubetree_cluster: BackgroundCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A new namespace for the test, deleted with all that is in it afterwards."""
    from kubetree.api.kind_table import kind

    namespace = kind("v1", "Namespace")
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": _prefix(request.node.name)}}
    cluster = kubetree_cluster
    name = cluster.run(cluster.client.create(namespace, made))["metadata"]["name"]
    yield name
    cluster.run(cluster.client.delete(namespace, name))


@pytest.fixture
def kubetree_kubeconfig(kubetree_cluster: BackgroundCluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of the cluster's kubeconfig, with $KUBECONFIG set to it for the test."""
    path = str(kubetree_cluster.kubeconfig)
    monkeypatch.setenv("KUBECONFIG", path)
    for name in _READ_WHEN_IMPORTED:
        if name in sys.modules:
            monkeypatch.setattr(sys.modules[name], "KUBE_CONFIG_DEFAULT_LOCATION", path, raising=False)
    return path


def _prefix(test: str) -> str:
    """A namespace name's beginning that tells which test made it."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in test.lower().removeprefix("test_"))
    return f"test-{kept[:40].strip('-')}-"
