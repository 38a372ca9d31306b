"""Quotas, limits and pod security as kubectl shows them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from behaviour.apiserver_harness import Http, running_server
from behaviour.secured_server import Secured, secured_server
from kubetree.cluster.certificates import node_client
from storage_modes import Place

Object = dict[str, Any]
PODS, QUOTAS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/resourcequotas"


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with running_server() as server:
        yield server


def pod(name: str, **spec: Any) -> Object:
    spec = {"containers": [{"name": "c", "image": "i"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


async def quota(http: Http, **hard: str) -> None:
    """A quota as the quota controller would have counted it."""
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}}
    made = (await http.post(QUOTAS, body)).json
    status = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    reply = await http.put(f"{QUOTAS}/q/status", made | {"status": status})
    assert reply.status == 200, reply.text


async def test_parallel_creates_never_exceed_a_quota(http: Http) -> None:
    await quota(http, pods="10")
    replies = await asyncio.gather(*(http.post(PODS, pod(f"p{i}")) for i in range(40)))
    assert sorted(reply.status for reply in replies) == [201] * 10 + [403] * 30
    refused = next(reply.json for reply in replies if reply.status == 403)
    assert refused["message"].endswith("is forbidden: exceeded quota: q, requested: pods=1, used: pods=10, limited: pods=10")
    assert (await http.get(f"{QUOTAS}/q")).json["status"]["used"] == {"pods": "10"}


async def test_resource_claims_count_by_device_class_at_their_worst(http: Http) -> None:
    devices, number = "gold.deviceclass.resource.k8s.io/devices", "count/resourceclaims.resource.k8s.io"
    await quota(http, **{devices: "5", number: "2"})
    alternatives = [{"name": "a", "deviceClassName": "gold", "count": 3}, {"name": "b", "deviceClassName": "gold"}]
    first = {"name": "one", "exactly": {"deviceClassName": "gold", "count": 2}}
    claim = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"generateName": "claim-"},
        "spec": {"devices": {"requests": [first, {"name": "either", "firstAvailable": alternatives}]}},
    }
    path = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims"
    made = await http.post(path, claim)
    assert made.status == 201, made.text
    assert (await http.get(f"{QUOTAS}/q")).json["status"]["used"] == {devices: "5", number: "1"}
    refused = await http.post(path, claim)
    assert refused.status == 403
    assert refused.json["message"].endswith(f"exceeded quota: q, requested: {devices}=5, used: {devices}=5, limited: {devices}=5")


async def test_two_servers_share_a_quota_and_a_node_port(place: Place) -> None:
    async with running_server(place, servers=2) as http:
        await quota(http, pods="5")
        await http.caught_up()
        replies = await asyncio.gather(*(http.post(PODS, pod(f"p{i}")) for i in range(20)))
        assert sum(reply.status == 201 for reply in replies) == 5
        spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30100}]}
        body = {"apiVersion": "v1", "kind": "Service", "spec": spec}
        path = "/api/v1/namespaces/default/services"
        replies = await asyncio.gather(*(http.post(path, body | {"metadata": {"name": f"s{i}"}}) for i in range(2)))
        assert sorted(reply.status for reply in replies) == [201, 422]


async def test_limit_ranges_and_pod_security(http: Http) -> None:
    limits = {"limits": [{"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}}]}
    body = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": limits}
    assert (await http.post("/api/v1/namespaces/default/limitranges", body)).status == 201
    made = (await http.post(PODS, pod("a"))).json
    assert made["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    assert (await http.patch("/api/v1/namespaces/default", label)).status == 200
    await http.caught_up()
    reply = await http.post(PODS, pod("b", hostNetwork=True))
    assert reply.status == 403
    assert reply.json["message"] == 'pods "b" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'
    broken = await http.patch("/api/v1/namespaces/default", {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "x"}}})
    assert broken.status == 422


async def test_priority_classes_and_tolerations_are_filled_in(http: Http) -> None:
    made = (await http.post(PODS, pod("a", priorityClassName="system-node-critical"))).json["spec"]
    assert made["priority"] == 2000001000
    assert [t["key"] for t in made["tolerations"]] == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Secured]:
    async with secured_server(tmp_path, enable_admission_plugins=("NodeRestriction",)) as running:
        yield running


async def test_a_kubelet_mints_tokens_for_its_pods_only(cluster: Secured) -> None:
    admin = cluster.kubeconfig("admin", cluster.certificates.admin)
    for name in ("n1", "n2"):
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
        status, output = await cluster.kubectl(admin, "create", "-f", "-", stdin=json.dumps(node))
        assert status == 0, output
    await cluster.kubectl(admin, "create", "serviceaccount", "default")
    for name, node in (("mine", "n1"), ("theirs", "n2")):
        status, output = await cluster.kubectl(admin, "create", "-f", "-", stdin=json.dumps(pod(name, nodeName=node)))
        assert status == 0, output
    status, output = await cluster.kubectl(admin, "get", "pods", "-o", "json")
    uids = {item["metadata"]["name"]: item["metadata"]["uid"] for item in json.loads(output)["items"]}
    kubelet = cluster.kubeconfig("n1", node_client(cluster.certificates.authority, "n1", datetime.now(UTC)))
    bound = ["--bound-object-kind=Pod", "--bound-object-name=mine", f"--bound-object-uid={uids['mine']}"]
    status, token = await cluster.kubectl(kubelet, "create", "token", "default", *bound)
    assert status == 0, token
    robot = cluster.kubeconfig("robot", token.strip())
    status, output = await cluster.kubectl(robot, "auth", "whoami", "-o", "json")
    extra = json.loads(output)["status"]["userInfo"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["mine"]
    assert extra["authentication.kubernetes.io/node-name"] == ["n1"]
    bound = ["--bound-object-kind=Pod", "--bound-object-name=theirs", f"--bound-object-uid={uids['theirs']}"]
    status, output = await cluster.kubectl(kubelet, "create", "token", "default", *bound)
    assert status != 0 and "node requested token bound to a pod scheduled on a different node" in output
    status, output = await cluster.kubectl(kubelet, "get", "pod", "theirs")
    assert status != 0 and "no relationship found between node 'n1' and this object" in output
