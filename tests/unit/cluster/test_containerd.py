"""Pods are removed to the last, whatever containerd is still busy with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubetree.cluster import containerd
from kubetree.cluster.containerd import ContainerdConfig, remove_pods
from kubetree.kubelet.cri.client import RuntimeFailure


class Runtime:
    """A runtime that refuses to remove a sandbox `refusals` times, as containerd does what it is removing already."""

    def __init__(self, refusals: int) -> None:
        self.sandboxes, self.refusals = ["a", "b"], refusals

    async def __aenter__(self) -> Runtime:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def call(self, method: str, pod_sandbox_id: str = "") -> Any:
        if method == "ListPodSandbox":
            return SimpleNamespace(items=[SimpleNamespace(id=name) for name in self.sandboxes])
        if method == "RemovePodSandbox":
            if pod_sandbox_id == "a" and self.refusals:
                self.refusals -= 1
                raise RuntimeFailure(method, "UNKNOWN", "container is already in removing state")
            self.sandboxes.remove(pod_sandbox_id)
        return None


@pytest.fixture
def config(tmp_path: Path) -> ContainerdConfig:
    return ContainerdConfig(root=tmp_path, state=tmp_path, cni_conf_dir=tmp_path, cni_bin_dir=tmp_path, runtime="runc")


async def test_what_is_being_removed_already_is_asked_for_again(config: ContainerdConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(refusals=2)
    monkeypatch.setattr(containerd, "RuntimeClient", lambda socket: runtime)
    await remove_pods(config)
    assert runtime.sandboxes == []


async def test_what_cannot_be_removed_is_said_and_the_others_are_gone(config: ContainerdConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(refusals=1000)
    monkeypatch.setattr(containerd, "RuntimeClient", lambda socket: runtime)
    with pytest.raises(RuntimeFailure, match="already in removing state"):
        await remove_pods(config, patience=0.0)
    assert runtime.sandboxes == ["a"]
