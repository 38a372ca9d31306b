"""Pulling for real, from a registry on loopback."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import yaml

from kubelet_cluster import Cluster
from kubelet_machine import BUSYBOX, pod, until
from ports import free_port

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(shutil.which("docker-registry") is None, reason="needs docker-registry"),
]


async def command(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def registry(node: Cluster) -> AsyncIterator[str]:
    """`127.0.0.1:port` of a registry that has `app:1`."""
    base, address = node.machine.base / "registry", f"127.0.0.1:{free_port()}"
    base.mkdir()
    config = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(base)}}, "http": {"addr": address}}
    (base / "config.yml").write_text(yaml.safe_dump(config))
    log = (base / "log").open("wb")
    process = await asyncio.create_subprocess_exec("docker-registry", "serve", str(base / "config.yml"), stdout=log, stderr=log)
    try:
        ctr = ["ctr", "--address", str(node.machine.config.socket), "--namespace", "k8s.io", "images"]
        await command(*ctr, "tag", BUSYBOX, f"{address}/app:1")

        async def pushed() -> bool:
            try:
                await command(*ctr, "push", "--plain-http", f"{address}/app:1")
            except AssertionError:
                return False
            return True

        await until(pushed, "the registry takes the image")
        await command(*ctr, "remove", f"{address}/app:1")
        yield address
    finally:
        process.terminate()
        await process.wait()


async def test_an_image_is_pulled(pods: Cluster, registry: str) -> None:
    made = pod("pulled", "echo from the registry", restartPolicy="Never")
    made["spec"]["containers"][0]["image"] = f"{registry}/app:1"
    await pods.create(made)
    ended = await pods.phase("pulled", "Succeeded")
    status = ended["status"]["containerStatuses"][0]
    assert status["image"] == f"{registry}/app:1" and status["imageID"].startswith(f"{registry}/app@sha256:")
    assert await pods.event("pulled", "Pulling") == f'Pulling image "{registry}/app:1"'
    assert "Image size: " in await pods.event("pulled", "Pulled", "Successfully pulled image ")


async def test_always_pulls_again_and_if_not_present_does_not(pods: Cluster, registry: str) -> None:
    for policy, reason in (("Always", "Pulling"), ("IfNotPresent", "Pulled")):
        name = f"policy-{policy.lower()}"
        made = pod(name, "true", restartPolicy="Never")
        made["spec"]["containers"][0] |= {"image": f"{registry}/app:1", "imagePullPolicy": policy}
        await pods.create(made)
        await pods.phase(name, "Succeeded")
        await pods.event(name, reason)
    assert "Pulling" not in [r for r, _ in await pods.events("policy-ifnotpresent")]


async def test_a_missing_tag_backs_off(pods: Cluster, registry: str) -> None:
    made = pod("missing", "true", restartPolicy="Never")
    made["spec"]["containers"][0]["image"] = f"{registry}/app:none"
    await pods.create(made)
    await pods.event("missing", "Failed", f'Failed to pull image "{registry}/app:none": rpc error: code = NotFound')
    await pods.event("missing", "Failed", "Error: ErrImagePull")
    waiting = await pods.waiting("missing", "ImagePullBackOff")
    assert waiting["message"].startswith(f'Back-off pulling image "{registry}/app:none": ErrImagePull: rpc error: code = NotFound')
    assert await pods.event("missing", "BackOff") == f'Back-off pulling image "{registry}/app:none"'
    assert (await pods.status("missing"))["phase"] == "Pending"
