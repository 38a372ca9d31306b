"""Fixtures of the kubelet's node tests: one node (containerd, network) for each module, without what an earlier test left on it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kubelet_cluster import Cluster, cluster
from kubelet_machine import Machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/node/kubelet" in str(item.path):
            item.add_marker(pytest.mark.node)
            item.add_marker(pytest.mark.timeout(300), append=False)
            if os.geteuid():
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine() -> AsyncIterator[Machine]:
    """A node without a kubelet; `machine.start_kubelet()` starts one."""
    with tempfile.TemporaryDirectory(prefix="kubetree-kubelet-", ignore_cleanup_errors=True) as base:
        made = Machine(Path(base), os.getpid() % 8)
        try:
            await made.start()
            yield made
        finally:
            await made.remove()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(machine: Machine) -> AsyncIterator[Cluster]:
    """An API server and a kubelet over `machine`."""
    async with cluster(machine) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def pods(node: Cluster) -> AsyncIterator[Cluster]:
    """`node` for one test: its kubelet runs, and of the pods that the test makes none is there for the next, also when it fails."""
    await node.ensure_kubelet()
    before = await node.names()
    yield node
    await node.delete_others(before)
