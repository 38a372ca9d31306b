"""The in-process cluster itself: what tests may say to its nodes and its clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import storage_modes
from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client import Client, load_kubeconfig
from kubetree.testing import BackgroundCluster, Cluster

pytestmark = pytest.mark.one_store

POD, NODE, NAMESPACE = kind("v1", "Pod"), kind("v1", "Node"), kind("v1", "Namespace")


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with storage_modes.cluster(nodes=2) as running:
        yield running


def pod(name: str, **spec: Any) -> dict[str, Any]:
    made = {"containers": [{"name": "c", "image": "i"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": {"app": name}}, "spec": made}


def phase(wanted: str) -> Any:
    return lambda p: p and p["status"].get("phase") == wanted


def ready(p: Any) -> bool:
    return bool(p) and any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions") or ())


@pytest.mark.every_store
async def test_a_pod_is_scheduled_runs_and_goes(cluster: Cluster) -> None:
    await cluster.client.create(POD, pod("a"))
    running = await cluster.until(POD, "a", "default", ready)
    assert running is not None
    assert running["status"]["podIP"].startswith("10.24")
    assert running["spec"]["nodeName"] in ("node-1", "node-2")
    await cluster.client.delete(POD, "a", "default")
    await cluster.until(POD, "a", "default", lambda p: p is None)


async def test_pods_start_and_become_ready_when_told(cluster: Cluster) -> None:
    cluster.kubelet.behave("app=slow", start=30, ready_after=60)
    await cluster.client.create(POD, pod("slow"))
    await cluster.until(POD, "slow", "default", lambda p: p["status"].get("containerStatuses"))
    assert (await cluster.client.get(POD, "slow", "default"))["status"]["phase"] == "Pending"
    await cluster.advance(31)
    await cluster.until(POD, "slow", "default", phase("Running"))
    assert not ready(await cluster.client.get(POD, "slow", "default"))
    await cluster.advance(60)
    await cluster.until(POD, "slow", "default", ready)


async def test_a_failing_pod_restarts_with_back_off_or_stays_failed(cluster: Cluster) -> None:
    cluster.kubelet.behave("app=crash", exit_code=3, exit_after=5)
    cluster.kubelet.behave("app=once", exit_code=3)
    await cluster.client.create(POD, pod("crash"))
    await cluster.client.create(POD, pod("once", restartPolicy="Never"))
    failed = await cluster.until(POD, "once", "default", phase("Failed"))
    assert failed is not None
    assert failed["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
    await cluster.until(POD, "crash", "default", phase("Running"))
    await cluster.advance(11)

    def backs_off(p: Any) -> bool:
        (container,) = p["status"]["containerStatuses"]
        return container["restartCount"] >= 2 and container["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"

    await cluster.until(POD, "crash", "default", backs_off)


async def test_single_pods_end_and_lose_their_readiness(cluster: Cluster) -> None:
    await cluster.client.create(POD, pod("a"))
    await cluster.until(POD, "a", "default", ready)
    await cluster.set_ready("a", ready=False)
    await cluster.until(POD, "a", "default", lambda p: not ready(p))
    await cluster.set_ready("a", ready=True)
    await cluster.until(POD, "a", "default", ready)
    await cluster.end_pod("a", code=2)
    ended = await cluster.until(POD, "a", "default", lambda p: p["status"]["containerStatuses"][0]["restartCount"] == 1 and ready(p))
    assert ended is not None
    assert ended["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 2


async def test_pods_hang_and_do_not_go(cluster: Cluster) -> None:
    cluster.kubelet.behave("app=pull", hang=True, reason="ImagePullBackOff")
    cluster.kubelet.behave("app=stuck", stop_after=None)
    for name in ("pull", "stuck"):
        await cluster.client.create(POD, pod(name))
    waiting = await cluster.until(POD, "pull", "default", lambda p: p["status"].get("containerStatuses"))
    assert waiting is not None
    assert waiting["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    await cluster.until(POD, "stuck", "default", ready)
    await cluster.client.delete(POD, "stuck", "default")
    await cluster.advance(120)
    assert (await cluster.client.get(POD, "stuck", "default"))["metadata"]["deletionTimestamp"]
    cluster.kubelet.forget_behaviour()
    await cluster.until(POD, "stuck", "default", lambda p: p is None)
    await cluster.until(POD, "pull", "default", ready)


@pytest.mark.every_store
async def test_a_silent_node_loses_its_pods_after_their_patience(cluster: Cluster) -> None:
    await cluster.client.create(POD, pod("a", nodeSelector={"kubernetes.io/hostname": "node-1"}))
    await cluster.until(POD, "a", "default", ready)
    cluster.kubelet.stop_node("node-1")
    await cluster.advance(60)
    lost = await cluster.until(NODE, "node-1", "", lambda n: len(n["spec"].get("taints") or ()) == 2)
    assert lost is not None
    assert {(t["key"], t["effect"]) for t in lost["spec"]["taints"]} == {
        ("node.kubernetes.io/unreachable", "NoSchedule"), ("node.kubernetes.io/unreachable", "NoExecute"),
    }  # fmt: skip
    await cluster.until(POD, "a", "default", lambda p: not ready(p))
    assert "deletionTimestamp" not in (await cluster.client.get(POD, "a", "default"))["metadata"]
    await cluster.advance(310)
    evicted = await cluster.until(POD, "a", "default", lambda p: p is None or "deletionTimestamp" in p["metadata"])
    assert evicted is not None
    assert any(c["type"] == "DisruptionTarget" and c["reason"] == "DeletionByTaintManager" for c in evicted["status"]["conditions"])
    cluster.kubelet.start_node("node-1")
    await cluster.advance(11)
    await cluster.until(NODE, "node-1", "", lambda n: not n["spec"].get("taints"))
    await cluster.until(POD, "a", "default", lambda p: p is None)


async def test_pods_of_a_deleted_node_are_collected(cluster: Cluster) -> None:
    await cluster.client.create(POD, pod("a", nodeSelector={"kubernetes.io/hostname": "node-1"}))
    await cluster.until(POD, "a", "default", ready)
    cluster.kubelet.nodes.remove("node-1")
    await cluster.client.delete(NODE, "node-1")
    await cluster.advance(70)
    await cluster.until(POD, "a", "default", lambda p: p is None)


@pytest.mark.every_store
async def test_clusters_run_beside_each_other_and_parts_can_be_left_out() -> None:
    async with storage_modes.cluster(nodes=1, controllers=(), scheduler=False) as bare, storage_modes.cluster(nodes=["x", "y"]) as whole:
        assert {n["metadata"]["name"] for n in (await whole.client.list(NODE))["items"]} == {"x", "y"}
        assert [n["metadata"]["name"] for n in (await bare.client.list(NODE))["items"]] == ["node-1"]
        assert bare.url != whole.url


async def test_users_are_who_they_say_and_may_what_rbac_says(cluster: Cluster) -> None:
    async with Client(cluster.config_of("alice", "developers")) as alice:
        with pytest.raises(errors.Forbidden, match='User "alice" cannot list resource "pods"'):
            await alice.list(POD, "default")
    async with Client(load_kubeconfig(cluster.kubeconfig)) as admin:
        assert (await admin.list(POD, "default"))["items"] == []


@pytest.mark.every_store
def test_the_kubernetes_package_works_with_it(kubetree_cluster: BackgroundCluster, kubetree_namespace: str) -> None:
    client = pytest.importorskip("kubernetes.client")
    core = client.CoreV1Api(client.ApiClient(kubetree_cluster.kubernetes_configuration()))
    core.create_namespaced_pod(kubetree_namespace, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    kubetree_cluster.wait_for(lambda: core.read_namespaced_pod("p", kubetree_namespace).status.phase == "Running")


def test_who_reads_the_default_kubeconfig_gets_to_the_cluster(kubetree_cluster: BackgroundCluster, kubetree_kubeconfig: str) -> None:
    """Though the package was imported long before, when it looked at $KUBECONFIG: operators under test do no more than this."""
    kubernetes = pytest.importorskip("kubernetes")
    made = kubernetes.client.Configuration()
    kubernetes.config.load_config(client_configuration=made)
    assert made.host == kubetree_cluster.url


def test_simulated_pods_have_empty_logs_and_nothing_to_execute(kubetree_cluster: BackgroundCluster, kubetree_namespace: str) -> None:
    """No request leaves the machine for the address that a simulated node says it has."""
    client, stream = pytest.importorskip("kubernetes.client"), pytest.importorskip("kubernetes.stream")
    core = client.CoreV1Api(client.ApiClient(kubetree_cluster.kubernetes_configuration()))
    core.create_namespaced_pod(kubetree_namespace, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    kubetree_cluster.wait_for(lambda: core.read_namespaced_pod("p", kubetree_namespace).status.phase == "Running")
    assert core.read_namespaced_pod_log("p", kubetree_namespace) == ""
    with pytest.raises(client.ApiException, match="400 Bad Request"):
        stream.stream(core.connect_get_namespaced_pod_exec, "p", kubetree_namespace, command=["ls"], stdout=True)


def test_waiting_in_the_clusters_own_thread_is_refused(kubetree_cluster: BackgroundCluster) -> None:
    async def inside() -> None:
        kubetree_cluster.run(kubetree_cluster.client.list(NAMESPACE))

    with pytest.raises(RuntimeError, match="own thread"):
        kubetree_cluster.run(inside())


async def test_a_pods_status_says_which_generation_it_is_of(cluster: Cluster) -> None:
    await cluster.client.create(POD, pod("a", activeDeadlineSeconds=5000))
    for generation, change in ((1, {"metadata": {"labels": {"x": "y"}}}), (2, {"spec": {"activeDeadlineSeconds": 4000}})):
        patched = await cluster.client.patch(POD, "a", change, namespace="default")
        assert patched["metadata"]["generation"] == generation
        seen = await cluster.until(POD, "a", "default", lambda p, g=generation: ready(p) and p["status"].get("observedGeneration") == g)
        assert seen is not None
        assert {c["observedGeneration"] for c in seen["status"]["conditions"] if c["type"] != "PodScheduled"} == {generation}
