"""The plugins that fill one thing in or refuse one thing."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from admission_requests import cluster_object, creating, pod, run, updating
from kubetree.api.errors import Forbidden
from kubetree.api.feature_gates import DEFAULT_FEATURES
from kubetree.apiserver.admission.build import PLUGINS, build_admission, enabled_plugins
from kubetree.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateRequestor,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from kubetree.apiserver.admission.claim_resize import PersistentVolumeClaimResize
from kubetree.apiserver.admission.default_classes import DefaultIngressClass, DefaultStorageClass
from kubetree.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from kubetree.apiserver.admission.priority import PRIORITY_CLASS, Priority, ensure_system_priority_classes
from kubetree.apiserver.admission.runtime_class import RuntimeClass
from kubetree.apiserver.admission.storage_protection import StorageObjectInUseProtection
from kubetree.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition
from kubetree.apiserver.authorization.build import Authorization
from kubetree.apiserver.authorization.rbac import RBAC
from kubetree.apiserver.authorization.union import AlwaysDeny
from kubetree.apiserver.options.config import Config
from listed_objects import ListedObjects
from rbac_objects import JANE, binding, role, rule, user

Object = dict[str, Any]


async def test_default_tolerations() -> None:
    spec = (await run(DefaultTolerationSeconds(), creating(pod())))["spec"]
    assert spec["tolerations"] == [
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
    ]
    everything = {"tolerations": [{"operator": "Exists"}]}
    assert (await run(DefaultTolerationSeconds(), creating(pod(spec=everything))))["spec"]["tolerations"] == [{"operator": "Exists"}]


async def test_a_node_starts_tainted_once() -> None:
    node = await run(TaintNodesByCondition(), creating(cluster_object("v1", "Node", "n")))
    assert node["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    assert (await run(TaintNodesByCondition(), creating(node)))["spec"]["taints"] == node["spec"]["taints"]


def priority_class(name: str, value: int, **fields: Any) -> Object:
    return cluster_object("scheduling.k8s.io/v1", "PriorityClass", name, value=value, **fields)


async def test_priorities() -> None:
    listed = ListedObjects(priority_class("high", 1000, preemptionPolicy="Never"))
    plugin = Priority(listed.cached())
    assert (await run(plugin, creating(pod())))["spec"].items() >= {"priority": 0, "preemptionPolicy": "PreemptLowerPriority"}.items()
    high = (await run(plugin, creating(pod(spec={"priorityClassName": "high"}))))["spec"]
    assert (high["priority"], high["preemptionPolicy"]) == (1000, "Never")
    listed.add(priority_class("usual", 5, globalDefault=True))
    usual = (await run(plugin, creating(pod())))["spec"]
    assert (usual["priorityClassName"], usual["priority"]) == ("usual", 5)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"priorityClassName": "gone"}, "no PriorityClass with name gone was found"),
        (
            {"priority": 7},
            "the integer value of priority (7) must not be provided in pod spec; "
            "priority admission controller computed 0 from the given PriorityClass name",
        ),
        (
            {"preemptionPolicy": "Never"},
            "the string value of PreemptionPolicy (Never) must not be provided in pod spec; "
            "priority admission controller computed PreemptLowerPriority from the given PriorityClass name",
        ),
    ],
)
async def test_priorities_are_not_the_pods_to_choose(spec: Object, message: str) -> None:
    with pytest.raises(Forbidden) as caught:
        await run(Priority(ListedObjects().cached()), creating(pod(spec=spec)))
    assert caught.value.message == f'pods "p" is forbidden: {message}'


async def test_one_default_priority_class() -> None:
    first = priority_class("first", 1, globalDefault=True)
    plugin = Priority(ListedObjects(first).cached())
    await run(plugin, updating(first, first))
    with pytest.raises(Forbidden, match="PriorityClass first is already marked as default"):
        await run(plugin, creating(priority_class("second", 2, globalDefault=True)))


async def test_system_priority_classes_are_made_once() -> None:
    listed = ListedObjects()
    await ensure_system_priority_classes(listed)
    generation = listed.generation(PRIORITY_CLASS)
    await ensure_system_priority_classes(listed)
    assert listed.generation(PRIORITY_CLASS) == generation
    assert {c["metadata"]["name"]: c["value"] for c in listed.of(PRIORITY_CLASS)} == {
        "system-node-critical": 2000001000,
        "system-cluster-critical": 2000000000,
    }


def claim(size: str = "1Gi", phase: str = "Bound", **spec: Any) -> Object:
    metadata = {"name": "c", "namespace": "ns"}
    spec = {"resources": {"requests": {"storage": size}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec, "status": {"phase": phase}}


def marked(api_version: str, kind: str, name: str, marker: str, created: str, **fields: Any) -> Object:
    found = cluster_object(api_version, kind, name, **fields)
    found["metadata"] |= {"annotations": {marker: "true"}, "creationTimestamp": created}
    return found


async def test_the_newest_default_storage_class_is_filled_in() -> None:
    marker = "storageclass.kubernetes.io/is-default-class"
    classes = [
        marked("storage.k8s.io/v1", "StorageClass", n, marker, t)
        for n, t in (("old", "2026-01-01T00:00:00Z"), ("new", "2026-02-01T00:00:00Z"))
    ]
    plugin = DefaultStorageClass(ListedObjects(*classes).cached())
    assert (await run(plugin, creating(claim())))["spec"]["storageClassName"] == "new"
    assert (await run(plugin, creating(claim(storageClassName=""))))["spec"]["storageClassName"] == ""


async def test_the_default_ingress_class_is_filled_in() -> None:
    made = marked("networking.k8s.io/v1", "IngressClass", "web", "ingressclass.kubernetes.io/is-default-class", "2026-01-01T00:00:00Z")
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i", "namespace": "ns"}, "spec": {}}
    assert (await run(DefaultIngressClass(ListedObjects(made).cached()), creating(ingress)))["spec"] == {"ingressClassName": "web"}


async def test_volumes_and_claims_are_protected() -> None:
    made = await run(StorageObjectInUseProtection(), creating(claim()))
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert (await run(StorageObjectInUseProtection(), creating(made)))["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]


async def test_growing_a_claim() -> None:
    grows = cluster_object("storage.k8s.io/v1", "StorageClass", "grows", allowVolumeExpansion=True)
    plugin = PersistentVolumeClaimResize(ListedObjects(grows).cached())
    await run(plugin, updating(claim("2Gi", storageClassName="grows"), claim(storageClassName="grows")))
    with pytest.raises(Forbidden, match="Only bound persistent volume claims can be expanded"):
        await run(plugin, updating(claim("2Gi"), claim(phase="Pending")))
    with pytest.raises(Forbidden, match="the storageclass that provisions the pvc must support resize"):
        await run(plugin, updating(claim("2Gi", storageClassName="x"), claim(storageClassName="x")))


async def test_runtime_classes() -> None:
    made = cluster_object("node.k8s.io/v1", "RuntimeClass", "vm", handler="vm", overhead={"podFixed": {"cpu": "250m"}})
    made["scheduling"] = {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]}
    listed = ListedObjects(made)
    plugin = RuntimeClass(listed.cached(), listed)
    spec = (await run(plugin, creating(pod(spec={"runtimeClassName": "vm", "nodeSelector": {"a": "b"}}))))["spec"]
    assert spec["overhead"] == {"cpu": "250m"}
    assert spec["nodeSelector"] == {"a": "b", "vm": "yes"}
    assert spec["tolerations"] == [{"key": "vm", "operator": "Exists"}]
    await run(plugin, creating(pod(spec={"runtimeClassName": "vm", "overhead": {"cpu": "0.25"}})))
    for spec, message in (
        ({"runtimeClassName": "gone"}, 'pod rejected: RuntimeClass "gone" not found'),
        ({"runtimeClassName": "vm", "overhead": {"cpu": "1"}}, "Overhead doesn't match"),
        ({"overhead": {"cpu": "1"}}, "Pod Overhead set without corresponding RuntimeClass defined Overhead"),
        ({"runtimeClassName": "vm", "nodeSelector": {"vm": "no"}}, "conflict: runtimeClass.scheduling.nodeSelector"),
    ):
        with pytest.raises(Forbidden, match=message.replace("[", r"\[")):
            await run(plugin, creating(pod(spec=spec)))


def signing_request(signer: str, *groups: str, **status: Any) -> Object:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [*(x509.NameAttribute(NameOID.ORGANIZATION_NAME, g) for g in groups), x509.NameAttribute(NameOID.COMMON_NAME, "me")]
    )
    pem = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    spec = {"signerName": signer, "request": base64.b64encode(pem).decode(), "username": "someone else"}
    return cluster_object("certificates.k8s.io/v1", "CertificateSigningRequest", "csr", spec=spec, status=status)


def signer_rights(verb: str, name: str) -> RBAC:
    held = role("r", rule(verb, "signers", "certificates.k8s.io", names=name))
    return RBAC(ListedObjects(held, binding("b", "ClusterRole", "r", user("jane"))).cached())


@pytest.mark.parametrize(
    ("name", "allowed"), [("kubernetes.io/kubelet-serving", True), ("kubernetes.io/*", True), ("example.com/*", False)]
)
async def test_approving_and_signing_need_the_signer(name: str, allowed: bool) -> None:
    old = signing_request("kubernetes.io/kubelet-serving")
    approval = updating(old | {"status": {"conditions": [{"type": "Approved"}]}}, old, subresource="approval", user=JANE)
    signing = updating(old | {"status": {"certificate": "eA=="}}, old, subresource="status", user=JANE)
    for plugin, asked, verb in (
        (CertificateApproval(signer_rights("approve", name)), approval, "approve"),
        (CertificateSigning(signer_rights("sign", name)), signing, "sign"),
    ):
        if allowed:
            await run(plugin, asked)
        else:
            with pytest.raises(Forbidden, match=f'user not permitted to {verb} requests with signerName "kubernetes.io/kubelet-serving"'):
                await run(plugin, asked)


async def test_nobody_gets_a_certificate_for_masters() -> None:
    await run(CertificateSubjectRestriction(), creating(signing_request("kubernetes.io/kube-apiserver-client", "devs")))
    with pytest.raises(Forbidden, match="signer with system:masters group is not allowed"):
        await run(CertificateSubjectRestriction(), creating(signing_request("kubernetes.io/kube-apiserver-client", "system:masters")))


async def test_the_server_says_who_asked_for_a_certificate() -> None:
    spec = (await run(CertificateRequestor(), creating(signing_request("x"), user=JANE)))["spec"]
    assert (spec["username"], spec["groups"]) == ("jane", ["devs", "system:authenticated"])


def test_plugins_are_enabled_and_disabled_by_name() -> None:
    names = [row.plugin.name for row in enabled_plugins((), ("Priority",))]
    assert "Priority" not in names
    assert names == [
        row.plugin.name for row in PLUGINS if row.by_default and row.gate in {"", *DEFAULT_FEATURES} and row.plugin.name != "Priority"
    ]
    enabled_plugins((), ("PodGroupProtection",))
    assert "PodGroupProtection" in {row.plugin.name for row in enabled_plugins((), (), frozenset({"GenericWorkload"}))}
    enabled_plugins((), ("ValidatingAdmissionWebhook",))
    with pytest.raises(ValueError, match='enable-admission-plugins plugin "Nope" is unknown'):
        enabled_plugins(("Nope",), ())


async def test_the_chain_runs_what_a_request_concerns_in_upstreams_order() -> None:
    listed = ListedObjects(cluster_object("v1", "Namespace", "ns"))
    listed.add({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "ns"}})
    rbac = RBAC(listed.cached())
    chain = build_admission(Config(), listed.cached(), listed, Authorization(rbac, rbac))
    asked = creating(pod())
    await chain.admit(asked)
    await chain.validate(asked)
    assert asked.obj is not None
    assert asked.obj["spec"].keys() >= {"serviceAccountName", "volumes", "priority", "tolerations"}
    without_rbac = build_admission(Config(), listed.cached(), listed, Authorization(AlwaysDeny(), None))
    for guarded in (chain, without_rbac):
        escalating = creating(role("more", rule("*", "secrets")), user=JANE)
        with pytest.raises(Forbidden, match="attempting to grant RBAC permissions not currently held"):
            await guarded.validate(escalating)
