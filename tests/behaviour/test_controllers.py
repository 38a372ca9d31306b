"""What users see of the controllers: in a whole cluster with simulated nodes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.testing import BackgroundCluster

Object = dict[str, Any]

POD, SERVICE, NAMESPACE, EVENT = (kind("v1", name) for name in ("Pod", "Service", "Namespace", "Event"))
CONFIG_MAP, SERVICE_ACCOUNT, ENDPOINTS = (kind("v1", name) for name in ("ConfigMap", "ServiceAccount", "Endpoints"))
DEPLOYMENT, REPLICA_SET = kind("apps/v1", "Deployment"), kind("apps/v1", "ReplicaSet")
REPLICATION_CONTROLLER = kind("v1", "ReplicationController")
SLICE = kind("discovery.k8s.io/v1", "EndpointSlice")
CRD = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")


class Space:
    """A namespace of the session's cluster, and what tests do in it."""

    def __init__(self, cluster: BackgroundCluster, name: str) -> None:
        self.cluster, self.name = cluster, name

    def create(self, row: Any, obj: Object) -> Object:
        made = {"apiVersion": row.api_version, "kind": row.kind, **obj}
        return self.cluster.run(self.cluster.client.create(row, made, self.name if row.namespaced else ""))

    def get(self, row: Any, name: str) -> Object:
        return self.cluster.run(self.cluster.client.get(row, name, self.name if row.namespaced else ""))

    def list(self, row: Any, selector: str = "") -> list[Object]:
        found: list[Object] = self.cluster.run(self.cluster.client.list(row, self.name, label_selector=selector))["items"]
        return found

    def patch(self, row: Any, name: str, patch: Object, subresource: str = "") -> Object:
        return self.cluster.run(self.cluster.client.patch(row, name, patch, namespace=self.name, subresource=subresource))

    def delete(self, row: Any, name: str, **options: Any) -> None:
        self.cluster.run(self.cluster.client.delete(row, name, self.name, **options))

    def until(self, row: Any, name: str, holds: Callable[[Any], Any]) -> Any:
        return self.cluster.until(row, name, self.name if row.namespaced else "", holds)

    def eventually(self, holds: Callable[[], Any]) -> Any:
        return self.cluster.wait_for(holds)

    def events(self, reason: str) -> list[str]:
        return [event["message"] for event in self.list(EVENT) if event["reason"] == reason]


@pytest.fixture
def space(kubetree_cluster: BackgroundCluster, kubetree_namespace: str) -> Space:
    return Space(kubetree_cluster, kubetree_namespace)


def workload(name: str, count: int, image: str = "one", **spec: Any) -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "metadata": {"name": name},
        "spec": {"replicas": count, "selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }


def available(count: int) -> Callable[[Any], bool]:
    return lambda obj: obj and obj.get("status", {}).get("availableReplicas", 0) == count


def observed(obj: Any) -> bool:
    """Whether the status is about the spec as it is now."""
    return bool(obj["status"].get("observedGeneration") == obj["metadata"]["generation"])


def test_a_deployment_serves_heals_scales_and_goes(space: Space) -> None:
    space.create(DEPLOYMENT, workload("web", 3))
    space.create(SERVICE, {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}})
    space.until(DEPLOYMENT, "web", available(3))
    space.until(ENDPOINTS, "web", lambda e: e and len((e.get("subsets") or [{}])[0].get("addresses") or ()) == 3)
    addresses = {p["status"]["podIP"] for p in space.list(POD)}

    def sliced() -> set[str]:
        slices = space.list(SLICE, "kubernetes.io/service-name=web")
        return {a for s in slices for e in s["endpoints"] for a in e["addresses"]}

    space.eventually(lambda: sliced() == addresses)
    victim = space.list(POD)[0]["metadata"]["name"]
    space.delete(POD, victim)
    space.eventually(lambda: {p["metadata"]["name"] for p in space.list(POD)}.isdisjoint({victim}) and len(space.list(POD)) == 3)
    space.patch(DEPLOYMENT, "web", {"spec": {"replicas": 5}}, "scale")
    space.until(DEPLOYMENT, "web", available(5))
    space.patch(DEPLOYMENT, "web", {"spec": {"replicas": 1}}, "scale")
    space.eventually(lambda: len(space.list(POD)) == 1)
    rs = space.list(REPLICA_SET)[0]["metadata"]["name"]
    told = space.eventually(lambda: len(space.events("ScalingReplicaSet")) == 3 and space.events("ScalingReplicaSet"))
    assert set(told) == {f"Scaled {how} replica set {rs} from {a} to {b}" for how, a, b in (("up", 0, 3), ("up", 3, 5), ("down", 5, 1))}
    space.delete(DEPLOYMENT, "web", propagation="Background")
    space.eventually(lambda: not space.list(POD) and not space.list(REPLICA_SET))


def test_an_update_rolls_and_is_undone_by_putting_the_old_template_back(space: Space) -> None:
    space.create(DEPLOYMENT, workload("web", 4))
    space.until(DEPLOYMENT, "web", available(4))
    old = space.get(DEPLOYMENT, "web")["spec"]["template"]
    container = {"containers": [{"name": "c", "image": "two"}]}
    space.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": container}}})
    done = space.until(DEPLOYMENT, "web", lambda d: observed(d) and available(4)(d) and d["status"].get("updatedReplicas") == 4)
    assert done["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert all(p["spec"]["containers"][0]["image"] == "two" for p in space.list(POD) if "deletionTimestamp" not in p["metadata"])
    progressing = next(c for c in done["status"]["conditions"] if c["type"] == "Progressing")
    assert progressing["reason"] in ("NewReplicaSetAvailable", "ReplicaSetUpdated")
    space.patch(DEPLOYMENT, "web", {"spec": {"template": old}})
    space.until(DEPLOYMENT, "web", lambda d: d["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3")
    space.eventually(lambda: sorted(rs["spec"]["replicas"] for rs in space.list(REPLICA_SET)) == [0, 4])


def test_a_rollout_of_broken_pods_stops_and_keeps_the_old_ones(space: Space) -> None:
    space.create(DEPLOYMENT, workload("web", 4, progressDeadlineSeconds=30))
    space.until(DEPLOYMENT, "web", available(4))
    space.cluster.kubelet.behave("tier=new", namespace=space.name, never_ready=True)
    template = {"metadata": {"labels": {"app": "web", "tier": "new"}}}
    space.patch(DEPLOYMENT, "web", {"spec": {"template": template}})
    space.eventually(lambda: len(space.list(POD, "tier=new")) == 2)
    assert space.get(DEPLOYMENT, "web")["status"]["availableReplicas"] >= 3
    space.cluster.advance(40)
    stuck = space.until(DEPLOYMENT, "web", lambda d: any(c["reason"] == "ProgressDeadlineExceeded" for c in d["status"]["conditions"]))
    assert stuck["status"]["availableReplicas"] >= 3


def test_replication_controllers_keep_their_pods(space: Space) -> None:
    rc = workload("old", 2)
    rc["spec"]["selector"] = {"app": "old"}
    space.create(REPLICATION_CONTROLLER, rc)
    space.until(REPLICATION_CONTROLLER, "old", available(2))


def test_a_namespace_has_its_account_and_ca_and_gets_them_back(space: Space) -> None:
    space.until(SERVICE_ACCOUNT, "default", bool)
    published = space.until(CONFIG_MAP, "kube-root-ca.crt", bool)
    assert published["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
    space.delete(SERVICE_ACCOUNT, "default")
    space.delete(CONFIG_MAP, "kube-root-ca.crt")
    for row, name in ((SERVICE_ACCOUNT, "default"), (CONFIG_MAP, "kube-root-ca.crt")):
        space.until(row, name, bool)


def test_a_deleted_namespace_takes_everything_with_it(space: Space) -> None:
    name = f"{space.name}-b"
    space.create(NAMESPACE, {"metadata": {"name": name}})
    inner = Space(space.cluster, name)
    inner.create(DEPLOYMENT, workload("web", 2))
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    inner.create(CONFIG_MAP, held)
    inner.until(DEPLOYMENT, "web", available(2))
    space.cluster.run(space.cluster.client.delete(NAMESPACE, name))
    waiting = inner.until(NAMESPACE, name, lambda n: len(n["status"].get("conditions") or ()) == 5 and not inner.list(POD)
                          and any(c["type"] == "NamespaceFinalizersRemaining" and c["status"] == "True" for c in n["status"]["conditions"]))  # fmt: skip
    messages = {c["type"]: c["message"] for c in waiting["status"]["conditions"]}
    assert messages["NamespaceFinalizersRemaining"] == (
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    )
    inner.patch(CONFIG_MAP, "held", {"metadata": {"finalizers": None}})
    space.cluster.advance(5)
    inner.until(NAMESPACE, name, lambda n: n is None)


@pytest.mark.parametrize(("propagation", "left"), [("Background", False), ("Foreground", False), ("Orphan", True)])
def test_propagation(space: Space, propagation: str, left: bool) -> None:
    space.create(REPLICA_SET, workload("rs", 2))
    space.until(REPLICA_SET, "rs", available(2))
    space.delete(REPLICA_SET, "rs", propagation=propagation)
    space.until(REPLICA_SET, "rs", lambda rs: rs is None)
    if left:
        space.eventually(lambda: all("ownerReferences" not in p["metadata"] for p in space.list(POD)))
        assert len(space.list(POD)) == 2
    else:
        space.eventually(lambda: not space.list(POD))


def test_foreground_deletion_waits_for_what_blocks_it(space: Space) -> None:
    owner = space.create(CONFIG_MAP, {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"], "blockOwnerDeletion": True}
    child = {"metadata": {"name": "child", "finalizers": ["example.com/hold"], "ownerReferences": [reference]}}
    space.create(CONFIG_MAP, child)
    space.delete(CONFIG_MAP, "owner", propagation="Foreground")
    space.until(CONFIG_MAP, "child", lambda c: c["metadata"].get("deletionTimestamp"))
    assert "foregroundDeletion" in space.get(CONFIG_MAP, "owner")["metadata"]["finalizers"]
    space.patch(CONFIG_MAP, "child", {"metadata": {"finalizers": None}})
    space.until(CONFIG_MAP, "owner", lambda o: o is None)


def test_an_object_of_an_owner_that_never_was_is_collected(space: Space) -> None:
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}
    space.create(CONFIG_MAP, {"metadata": {"name": "orphan", "ownerReferences": [reference]}})
    space.until(CONFIG_MAP, "orphan", lambda o: o is None)


def test_an_object_with_another_living_owner_stays(space: Space) -> None:
    owners = [space.create(CONFIG_MAP, {"metadata": {"name": name}}) for name in ("a", "b")]
    references = [{"apiVersion": "v1", "kind": "ConfigMap", "name": o["metadata"]["name"], "uid": o["metadata"]["uid"]} for o in owners]
    space.create(CONFIG_MAP, {"metadata": {"name": "child", "ownerReferences": references}})
    space.delete(CONFIG_MAP, "a", propagation="Background")
    kept = space.until(CONFIG_MAP, "child", lambda c: c is None or len(c["metadata"]["ownerReferences"]) == 1)
    assert kept is not None
    assert kept["metadata"]["ownerReferences"][0]["name"] == "b"


def test_nobody_may_do_the_controllers_work_in_their_name(space: Space) -> None:
    from kubetree.client import Client

    async def list_secrets() -> None:
        async with Client(space.cluster.config_of("system:serviceaccount:kube-system:endpoint-controller")) as client:
            await client.list(kind("v1", "Secret"))

    with pytest.raises(errors.Forbidden, match="secrets is forbidden"):
        space.cluster.run(list_secrets())


def test_a_quota_counts_refuses_and_gives_back(space: Space) -> None:
    quota = kind("v1", "ResourceQuota")
    space.create(quota, {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2", "count/configmaps": "5"}}})
    space.until(quota, "q", lambda q: q["status"].get("used", {}).get("count/configmaps") == "1")
    space.create(REPLICA_SET, workload("rs", 3))
    failing = space.until(REPLICA_SET, "rs", lambda rs: rs["status"].get("conditions"))
    assert failing["status"]["conditions"][0]["type"] == "ReplicaFailure"
    assert "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2" in failing["status"]["conditions"][0]["message"]
    space.until(quota, "q", lambda q: q["status"]["used"]["pods"] == "2")
    space.patch(REPLICA_SET, "rs", {"spec": {"replicas": 1}})
    space.until(quota, "q", lambda q: q["status"]["used"]["pods"] == "1")
    space.until(REPLICA_SET, "rs", lambda rs: not rs["status"].get("conditions"))


def _request(common_name: str, organization: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


def _certificate(csr: Object) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(csr["status"]["certificate"]))


CSR = kind("certificates.k8s.io/v1", "CertificateSigningRequest")


def test_a_kubelets_client_certificate_is_approved_and_signed(space: Space) -> None:
    usages = ["digital signature", "key encipherment", "client auth"]
    spec = {
        "request": _request("system:node:n", "system:nodes"),
        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        "usages": usages,
    }
    name = space.create(CSR, {"metadata": {"generateName": "node-"}, "spec": {**spec, "expirationSeconds": 3600}})["metadata"]["name"]
    signed = space.until(CSR, name, lambda c: c["status"].get("certificate"))
    assert [(c["type"], c["reason"]) for c in signed["status"]["conditions"]] == [("Approved", "AutoApproved")]
    certificate = _certificate(signed)
    assert certificate.subject.rfc4514_string() == "O=system:nodes,CN=system:node:n"
    left = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert left.total_seconds() == 3600 + 300
    space.cluster.run(space.cluster.client.delete(CSR, name))


def test_a_users_certificate_waits_for_approval_and_a_wrong_one_fails(space: Space) -> None:
    for request, usages in (("alice", ["client auth"]), ("bob", ["server auth"])):
        spec = {"request": _request(request, "developers"), "signerName": "kubernetes.io/kube-apiserver-client", "usages": usages}
        space.create(CSR, {"metadata": {"name": f"{request}-{space.name}"}, "spec": spec})
        csr = space.get(CSR, f"{request}-{space.name}")
        assert "certificate" not in csr["status"]
        condition = {"type": "Approved", "status": "True", "reason": "Me", "message": "looked at"}
        csr["status"] = {"conditions": [condition]}
        space.cluster.run(space.cluster.client.update(CSR, csr, subresource="approval"))
    signed = space.until(CSR, f"alice-{space.name}", lambda c: c["status"].get("certificate"))
    assert "CN=alice" in _certificate(signed).subject.rfc4514_string()
    failed = space.until(CSR, f"bob-{space.name}", lambda c: len(c["status"]["conditions"]) == 2)
    assert (failed["status"]["conditions"][1]["type"], failed["status"]["conditions"][1]["reason"]) == ("Failed", "SignerValidationFailure")


def test_a_budget_holds_evictions_back(space: Space) -> None:
    budget = kind("policy/v1", "PodDisruptionBudget")
    space.create(DEPLOYMENT, workload("web", 2))
    space.create(budget, {"metadata": {"name": "b"}, "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}})
    space.until(DEPLOYMENT, "web", available(2))
    space.until(budget, "b", lambda b: b["status"].get("disruptionsAllowed") == 1)
    space.cluster.kubelet.behave("app=web", namespace=space.name, start=3600)
    first, second = (p["metadata"]["name"] for p in space.list(POD))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first, "namespace": space.name}}
    create = space.cluster.client.create
    space.cluster.run(create(POD, eviction, space.name, name=first, subresource="eviction"))
    space.until(budget, "b", lambda b: b["status"]["disruptionsAllowed"] == 0)
    eviction["metadata"]["name"] = second  # type: ignore[index]
    with pytest.raises(errors.TooManyRequests, match="Cannot evict pod as it would violate the pod's disruption budget"):
        space.cluster.run(create(POD, eviction, space.name, name=second, subresource="eviction"))


def test_a_daemon_set_runs_on_every_node_and_rolls(space: Space) -> None:
    daemon_set = kind("apps/v1", "DaemonSet")
    agent = workload("agent", 1)
    del agent["spec"]["replicas"]
    space.create(daemon_set, agent)
    nodes = len(space.cluster.run(space.cluster.client.list(kind("v1", "Node")))["items"])
    space.until(daemon_set, "agent", lambda d: d["status"].get("numberAvailable") == nodes)
    space.patch(daemon_set, "agent", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}})
    space.until(
        daemon_set,
        "agent",
        lambda d: observed(d) and d["status"].get("updatedNumberScheduled") == nodes == d["status"].get("numberAvailable"),
    )
    assert {p["spec"]["containers"][0]["image"] for p in space.list(POD)} == {"two"}
    assert sorted(r["revision"] for r in space.list(kind("apps/v1", "ControllerRevision"))) == [1, 2]


def test_a_claim_in_use_waits_for_its_pod(space: Space) -> None:
    claim = kind("v1", "PersistentVolumeClaim")
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
    space.create(claim, {"metadata": {"name": "data"}, "spec": spec})
    assert "kubernetes.io/pvc-protection" in space.until(claim, "data", lambda c: c["metadata"].get("finalizers"))["metadata"]["finalizers"]
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    node = space.cluster.run(space.cluster.client.list(kind("v1", "Node")))["items"][0]["metadata"]["name"]
    space.create(
        POD, {"metadata": {"name": "p"}, "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}], "volumes": [volume]}}
    )
    space.until(POD, "p", lambda p: p["status"]["phase"] == "Running")
    space.delete(claim, "data")
    space.cluster.settle()
    assert space.get(claim, "data")["metadata"]["deletionTimestamp"]
    space.delete(POD, "p")
    space.until(claim, "data", lambda c: c is None)


def test_nodes_are_told_how_long_to_keep_secrets(space: Space) -> None:
    (name, *_) = (n["metadata"]["name"] for n in space.cluster.run(space.cluster.client.list(kind("v1", "Node")))["items"])
    space.until(kind("v1", "Node"), name, lambda n: n["metadata"]["annotations"].get("node.alpha.kubernetes.io/ttl") == "0")


def test_a_job_runs_retries_and_is_cleaned_up(space: Space) -> None:
    job = kind("batch/v1", "Job")
    space.cluster.kubelet.behave("batch.kubernetes.io/job-name=good", namespace=space.name, exit_code=0)
    space.cluster.kubelet.behave("batch.kubernetes.io/job-name=bad", namespace=space.name, exit_code=1)
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    space.create(
        job,
        {"metadata": {"name": "good"}, "spec": {"completions": 3, "parallelism": 2, "ttlSecondsAfterFinished": 60, "template": template}},
    )
    space.create(job, {"metadata": {"name": "bad"}, "spec": {"backoffLimit": 0, "template": template}})
    done = space.until(job, "good", lambda j: j["status"].get("completionTime"))
    assert done["status"]["succeeded"] == 3
    failed = space.until(job, "bad", lambda j: any(c["type"] == "Failed" for c in j["status"].get("conditions") or ()))
    assert failed["status"]["failed"] == 1
    space.cluster.advance(70)
    space.until(job, "good", lambda j: j is None)
    space.eventually(lambda: len(space.list(POD)) == 1)


def test_a_cron_job_starts_jobs_by_the_clock(space: Space) -> None:
    cron_job = kind("batch/v1", "CronJob")
    space.cluster.kubelet.behave("cron=yes", namespace=space.name, exit_code=0)
    pod = {"metadata": {"labels": {"cron": "yes"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    space.create(cron_job, {"metadata": {"name": "tick"}, "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": pod}}}})
    space.cluster.advance(61)
    space.until(cron_job, "tick", lambda c: c["status"].get("lastSuccessfulTime"))


def test_a_stateful_set_comes_up_in_order_and_rolls(space: Space) -> None:
    stateful_set = kind("apps/v1", "StatefulSet")
    db = workload("db", 3)
    db["spec"]["serviceName"] = "db"
    space.create(stateful_set, db)
    space.until(stateful_set, "db", available(3))
    assert sorted(p["metadata"]["name"] for p in space.list(POD)) == ["db-0", "db-1", "db-2"]
    space.patch(stateful_set, "db", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}})
    space.until(
        stateful_set, "db", lambda s: observed(s) and s["status"]["currentRevision"] == s["status"]["updateRevision"] and available(3)(s)
    )
    assert {p["spec"]["containers"][0]["image"] for p in space.list(POD)} == {"two"}
