"""The kubelet with a node's own rights and no more: certificates, RBAC, the Node authorizer, NodeRestriction, tokens."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from kubelet_cluster import Cluster, secured_cluster
from kubelet_machine import Machine, pod, until
from kubetree.api.kind_table import kind
from kubetree.client import Client, ClientConfig
from kubetree.cluster import kubeconfig
from programs import needs_kubectl

pytestmark = pytest.mark.asyncio(loop_scope="module")
Object = dict[str, Any]
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(machine: Machine) -> AsyncIterator[Cluster]:
    async with secured_cluster(machine) as made:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        await made.client.create(kind("v1", "ServiceAccount"), account, "default")
        root = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "an authority"}}
        await made.client.create(kind("v1", "ConfigMap"), root, "default")
        yield made


async def test_a_pod_has_its_service_account(pods: Cluster) -> None:
    command = f"cat {MOUNT}/token; echo; cat {MOUNT}/ca.crt {MOUNT}/namespace; stat -Lc %a {MOUNT}/token"
    await pods.create(pod("account", command, restartPolicy="Never"))
    await pods.phase("account", "Succeeded")
    (log,) = pods.machine.logs.glob("default_account_*/main/0.log")
    lines = [line.split(" ", 3)[3] for line in log.read_text().splitlines()]
    assert lines[1:] == ["an authoritydefault", "644"] or lines[1:] == ["an authority", "default", "644"] or "an authority" in lines[1]
    config = pods.client.config
    async with Client(ClientConfig(config.server, ca=config.ca, token=lines[0])) as caller:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        user = (await caller.create(kind("authentication.k8s.io/v1", "SelfSubjectReview"), review))["status"]["userInfo"]
    assert user["username"] == "system:serviceaccount:default:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["account"]


async def test_a_static_pod_is_mirrored_under_node_restriction(pods: Cluster) -> None:
    pods.machine.write_pod(pod("guarded", "trap 'exit 0' TERM; while true; do sleep 0.05; done"))
    await pods.phase("guarded-node-a", "Running")
    pods.machine.delete_pod("guarded")
    await pods.gone("guarded-node-a")


async def test_a_secret_volume_is_followed_with_a_nodes_rights(pods: Cluster) -> None:
    what = kind("v1", "Secret")
    await pods.client.create(what, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "one"}}, "default")
    made = pod("follows", "trap 'exit 0' TERM; while true; do sleep 0.1; done", volumes=[{"name": "s", "secret": {"secretName": "s"}}])
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "s", "mountPath": "/s"}]
    await pods.create(made)
    running = await pods.phase("follows", "Running")
    container = running["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    await pods.client.patch(what, "s", {"stringData": {"k": "two"}}, namespace="default", type="merge")

    async def shown() -> bool:
        return await pods.machine.execute(container, "cat", "/s/k") == "two"

    await until(shown, "the new value is in the volume")


async def test_the_port_lets_in_only_who_may(pods: Cluster) -> None:
    assert pods.kubelet is not None
    base = f"https://127.0.0.1:{pods.kubelet.port}"
    token = {"spec": {}, "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    account = await pods.client.create(kind("v1", "ServiceAccount"), token, "default", subresource="token", name="default")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        async with session.get(f"{base}/pods") as response:
            assert (response.status, await response.text()) == (401, "Unauthorized")
        headers = {"Authorization": f"Bearer {account['status']['token']}"}
        async with session.get(f"{base}/stats/summary", headers=headers) as response:
            assert response.status == 403
            assert await response.text() == (
                "Forbidden (user=system:serviceaccount:default:default, verb=get, resource=nodes, subresource(s)=[stats])\n"
            )


@needs_kubectl
async def test_kubectl_through_the_api_server(pods: Cluster, tmp_path: Path) -> None:
    await pods.create(pod("spoken-to", "echo hello; sleep 1000", terminationGracePeriodSeconds=0))
    await pods.phase("spoken-to", "Running")
    config = pods.client.config
    assert config.ca and config.client_cert and config.client_key
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig.document("t", config.server, config.ca, config.client_cert, config.client_key)))

    async def kubectl(*words: str, **environment: str) -> tuple[int, str]:

        process = await asyncio.create_subprocess_exec(
            "kubectl", *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"KUBECONFIG": str(path)} | environment
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    async def spoken() -> bool:
        return await kubectl("logs", "spoken-to") == (0, "hello\n")

    await until(spoken, "its log is read")
    expected = (7, "out\ncommand terminated with exit code 7\n")
    assert await kubectl("exec", "spoken-to", "--", "sh", "-c", "echo out; exit 7") == expected
    assert await kubectl("exec", "spoken-to", "--", "sh", "-c", "echo out; exit 7", KUBECTL_REMOTE_COMMAND_WEBSOCKETS="false") == expected
