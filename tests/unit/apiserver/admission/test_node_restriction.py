"""A kubelet's writes stay with its own node and pods."""

from __future__ import annotations

import re
from typing import Any

import pytest

from admission_requests import cluster_object, creating, deleting, pod, run, updating
from kubetree.api.errors import ApiError, Forbidden
from kubetree.apiserver.admission.node_restriction import NodeRestriction
from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.rbac import RBAC
from listed_objects import ListedObjects
from rbac_objects import JANE

Object = dict[str, Any]
N1 = User("system:node:n1", groups=("system:nodes", "system:authenticated"))
PROJECTED = {
    "name": "t",
    "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"serviceAccountToken": {"audience": "vault"}}]},
}


@pytest.fixture
def plugin() -> NodeRestriction:
    old_sort = {"name": "share", "azureFile": {"shareName": "s", "secretName": "s"}}
    mine = pod("mine", spec={"nodeName": "n1", "volumes": [PROJECTED, old_sort]}, uid="mine-uid")
    driver = cluster_object("storage.k8s.io/v1", "CSIDriver", "file.csi.azure.com", spec={"tokenRequests": [{"audience": "azure"}]})
    objects = ListedObjects(cluster_object("v1", "Node", "n1"), driver, mine, pod("theirs", spec={"nodeName": "n2"}, uid="theirs-uid"))
    return NodeRestriction(objects.cached(), RBAC(objects.cached()))


def node(name: str = "n1", labels: dict[str, str] | None = None, **fields: Any) -> Object:
    found = cluster_object("v1", "Node", name, **fields)
    found["metadata"]["labels"] = labels or {}
    return found


def mirror(**changes: Any) -> Object:
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "uid-1", "controller": True}
    metadata = {"annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": [owner]}
    spec = {"nodeName": "n1", "containers": [{"name": "c"}]}
    return pod("m", spec=spec | changes.pop("spec", {}), **(metadata | changes))


def token(name: str, uid: str, *audiences: str) -> AdmissionRequest:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sa", "namespace": "ns"}}
    asked = creating(account, subresource="token", user=N1)
    bound = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
    asked.obj = {"spec": {"boundObjectRef": bound, "audiences": list(audiences)}}
    return asked


def lease(name: str, namespace: str = "kube-node-lease") -> Object:
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": namespace}}


OWN_POD = pod("mine", spec={"nodeName": "n1"})
ALLOWED = {
    "a mirror pod": creating(mirror(), user=N1),
    "its node": creating(node(labels={"kubernetes.io/hostname": "x", "mine.example.com/x": "y", "node.kubernetes.io/x": "y"}), user=N1),
    "its status": updating(node(), node(), subresource="status", user=N1),
    "its pod's status": updating(OWN_POD | {"status": {"phase": "Running"}}, OWN_POD, subresource="status", user=N1),
    "deleting its pod": deleting(OWN_POD, user=N1),
    "a token for its pod": token("mine", "mine-uid"),
    "a token with an audience of a volume": token("mine", "mine-uid", "vault"),
    "a token for the CSI driver of a volume of an old sort": token("mine", "mine-uid", "azure"),
    "its lease": creating(lease("n1"), user=N1),
    "others are not restricted": creating(pod("x"), user=JANE),
}


@pytest.mark.parametrize("asked", ALLOWED.values(), ids=ALLOWED.keys())
async def test_allowed(plugin: NodeRestriction, asked: AdmissionRequest) -> None:
    await run(plugin, asked)


REFUSED = {
    'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods': creating(
        pod("x", spec={"nodeName": "n1"}), user=N1
    ),
    'node "n1" can only create pods with spec.nodeName set to itself': creating(mirror(spec={"nodeName": "n2"}), user=N1),
    'node "n1" can only create pods with an owner reference set to itself': creating(mirror(ownerReferences=[]), user=N1),
    "node n1 UID mismatch: expected other got uid-1": creating(
        mirror(ownerReferences=[{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "other", "controller": True}]), user=N1
    ),
    'node "n1" can not create pods that reference secrets': creating(
        mirror(spec={"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}), user=N1
    ),
    'node "n1" can not create pods that reference serviceaccounts (via projected volumes)': creating(
        mirror(spec={"volumes": [PROJECTED]}), user=N1
    ),
    'node "n1" can only delete pods with spec.nodeName set to itself': deleting(pod("theirs"), user=N1),
    'node "n1" can only update pod status for pods with spec.nodeName set to itself': updating(
        pod("theirs", spec={"nodeName": "n2"}), pod("theirs", spec={"nodeName": "n2"}), subresource="status", user=N1
    ),
    'node "n1" cannot update labels through pod status': updating(
        pod("mine", spec={"nodeName": "n1"}, labels={"a": "b"}), OWN_POD, subresource="status", user=N1
    ),
    'node "n1" is not allowed to modify node "n2"': updating(node("n2"), node("n2"), user=N1),
    'node "n1" is not allowed to modify taints': updating(node(spec={"taints": [{"key": "x"}]}), node(), user=N1),
    'node "n1" is not allowed to set the following labels: node-restriction.kubernetes.io/x, other.kubernetes.io/x': creating(
        node(labels={"node-restriction.kubernetes.io/x": "y", "other.kubernetes.io/x": "y"}), user=N1
    ),
    "is not allowed to modify labels: node-role.kubernetes.io/x": updating(node(labels={"node-role.kubernetes.io/x": ""}), node(), user=N1),
    "node requested token not bound to a pod": token("", ""),
    "node requested token bound to a pod scheduled on a different node": token("theirs", "theirs-uid"),
    'audience "other" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience': token(
        "mine", "mine-uid", "other"
    ),
    "can only access node lease with the same name as the requesting node": creating(lease("n2"), user=N1),
    'can only access leases in the "kube-node-lease" system namespace': creating(lease("n1", "ns"), user=N1),
    'could not determine node from user "system:node:"': creating(node(), user=User("system:node:", groups=("system:nodes",))),
}


@pytest.mark.parametrize(("message", "asked"), REFUSED.items(), ids=REFUSED.keys())
async def test_refused(plugin: NodeRestriction, message: str, asked: AdmissionRequest) -> None:
    with pytest.raises(Forbidden) as caught:
        await run(plugin, asked)
    assert caught.value.message.endswith(f"is forbidden: {message}")


FEATURES = frozenset({"PodCertificateRequest"})
ASKED: Object = {
    "nodeName": "n1",
    "nodeUID": "n1-uid",
    "podName": "mine",
    "podUID": "mine-uid",
    "serviceAccountName": "sa",
    "serviceAccountUID": "sa-uid",
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"nodeName": "n2"}, 'PodCertificateRequest.Spec.NodeName="n2", which is not the requesting node "n1"'),
        ({"nodeUID": "x"}, 'names node UID "x", inconsistent with the running node ("n1-uid")'),
        ({"podName": "nobody"}, 'while retrieving pod "ns/nobody" named in the PodCertificateRequest: pods "nobody" not found'),
        ({"podUID": "x"}, 'contains pod UID ("x") which differs from running pod "mine-uid"'),
        ({"podName": "theirs", "podUID": "t"}, 'pod "ns/theirs" is not running on node "n1" named in the PodCertificateRequest'),
        ({"podName": "static", "podUID": "s"}, 'pod "ns/static" is a mirror pod'),
        ({"serviceAccountName": "x"}, 'contains serviceAccountName ("x") that differs from running pod ("sa")'),
        ({"serviceAccountUID": "x"}, 'names service account UID "x", which differs from the running service account ("sa-uid")'),
    ],
)
async def test_a_certificate_is_asked_for_a_pod_of_the_node(changes: Object, told: str) -> None:
    own = cluster_object("v1", "Node", "n1")
    own["metadata"]["uid"] = "n1-uid"
    spec = {"nodeName": "n1", "serviceAccountName": "sa"}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sa", "namespace": "ns", "uid": "sa-uid"}}
    objects = ListedObjects(
        own,
        account,
        pod("mine", spec=spec, uid="mine-uid"),
        pod("theirs", spec=spec | {"nodeName": "n2"}, uid="t"),
        pod("static", spec=spec, uid="s", annotations={"kubernetes.io/config.mirror": "x"}),
    )
    metadata = {"name": "r", "namespace": "ns"}
    asked = {
        "apiVersion": "certificates.k8s.io/v1beta1",
        "kind": "PodCertificateRequest",
        "metadata": metadata,
        "spec": ASKED | changes,
    }
    plugin = NodeRestriction(objects.cached(), RBAC(objects.cached()), FEATURES)
    if not told:
        await run(plugin, creating(asked, user=N1))
        return
    with pytest.raises(ApiError, match=re.escape(told)):
        await run(plugin, creating(asked, user=N1))
    with pytest.raises(Forbidden, match="PodCertificateRequest feature gate is disabled"):
        await run(NodeRestriction(objects.cached(), RBAC(objects.cached())), creating(asked, user=N1))
