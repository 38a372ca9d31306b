"""A kubelet reads what its own pods refer to, its own node and lease, and nothing of other nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.attributes import Attributes, Decision
from kubetree.apiserver.authorization.node import POD_CERTIFICATE_REQUEST, NodeAuthorizer
from listed_objects import ListedObjects
from rbac_objects import asks

Object = dict[str, Any]
N1 = User("system:node:n1", groups=("system:nodes", "system:authenticated"))


def pod(name: str, node: str, spec: Object, **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "ns", **metadata},
        "spec": {"nodeName": node, **spec},
    }


SPEC: Object = {
    "serviceAccountName": "sa",
    "imagePullSecrets": [{"name": "pull"}],
    "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "env-from"}}]}],
    "containers": [
        {"name": "c", "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "env-map", "key": "k"}}}]},
        {"name": "d", "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "env-secret", "key": "k"}}}]},
    ],
    "volumes": [
        {"name": "a", "secret": {"secretName": "vol"}},
        {"name": "b", "configMap": {"name": "vol-map"}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "proj"}}, {"configMap": {"name": "proj-map"}}]}},
        {"name": "d", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "e", "ephemeral": {}},
    ],
}


@pytest.fixture
def authorizer() -> NodeAuthorizer:
    volume = {"claimRef": {"namespace": "ns", "name": "claim"}, "csi": {"nodeStageSecretRef": {"name": "stage", "namespace": "store"}}}
    grab = {"volumes": [{"name": "a", "secret": {"secretName": "grab"}}]}
    claim = {"name": "claim", "namespace": "ns"}
    objects = ListedObjects(
        pod("p1", "n1", SPEC),
        pod("p2", "n2", {"volumes": [{"name": "a", "secret": {"secretName": "theirs"}}]}),
        pod("mirror", "n1", grab, annotations={"kubernetes.io/config.mirror": "x"}),
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": claim, "spec": {"volumeName": "pv"}},
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": volume},
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "other"}, "spec": {}},
        {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": "va"}, "spec": {"nodeName": "n1"}},
    )
    return NodeAuthorizer(objects.cached())


@pytest.mark.parametrize(
    "line",
    [
        *(f"get - secrets ns {name}" for name in ("pull", "env-from", "env-secret", "vol", "proj")),
        *(f"watch - configmaps ns {name}" for name in ("env-map", "vol-map", "proj-map")),
        "get - secrets store stage",
        "get - persistentvolumeclaims ns claim",
        "get - persistentvolumeclaims ns p1-e",
        "patch - persistentvolumeclaims/status ns claim",
        "get - persistentvolumes - pv",
        "get storage.k8s.io volumeattachments - va",
        "create - serviceaccounts/token ns sa",
        "get - serviceaccounts ns sa",
        "get - pods ns p1",
        "patch - pods/status ns p1",
        "create - pods ns",
        "create - nodes",
        "get - nodes - n1",
        "patch - nodes/status - n1",
        "update coordination.k8s.io leases kube-node-lease n1",
        "create coordination.k8s.io leases kube-node-lease",
        "get storage.k8s.io csinodes - n1",
        "list - services",
        "create - events ns",
        "create certificates.k8s.io certificatesigningrequests",
    ],
)
def test_allowed(authorizer: NodeAuthorizer, line: str) -> None:
    assert authorizer.authorize(asks(line, N1)).decision is Decision.ALLOW


NO_PATH = "no relationship found between node 'n1' and this object"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("get - secrets ns theirs", NO_PATH),
        ("get - secrets ns grab", NO_PATH),
        ("get - secrets other vol", NO_PATH),
        ("list - secrets ns", "No Object name found"),
        ("list - secrets", "can only read namespaced object of this type"),
        ("update - secrets ns vol", "can only read resources of this type"),
        ("get - persistentvolumes - other", NO_PATH),
        ("list - persistentvolumes", "can only get individual resources of this type"),
        ("create - serviceaccounts/token ns other", NO_PATH),
        ("get - pods ns p2", NO_PATH),
        ("list - pods", "can only list/watch pods with spec.nodeName field selector"),
        ("get - nodes - n2", "node 'n1' cannot read 'n2', only its own Node object"),
        ("list - nodes", "node 'n1' cannot read all nodes, only its own Node object"),
        ("delete - nodes - n1", ""),
        ("get coordination.k8s.io leases kube-node-lease n2", "can only access node lease with the same name as the requesting node"),
        ("get coordination.k8s.io leases ns n1", 'can only access leases in the "kube-node-lease" system namespace'),
        ("create apps deployments ns", ""),
    ],
)
def test_refused(authorizer: NodeAuthorizer, line: str, reason: str) -> None:
    answer = authorizer.authorize(asks(line, N1))
    assert (answer.decision, answer.reason) == (Decision.NO_OPINION, reason)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("spec.nodeName=n1", True),
        ("spec.nodeName==n1,status.phase!=Failed", True),
        ("spec.nodeName=n2", False),
        ("spec.nodeName!=n1", False),
    ],
)
def test_pods_are_listed_by_node(authorizer: NodeAuthorizer, selector: str, expected: bool) -> None:
    question = Attributes(N1, "list", resource="pods", field_selector=selector)
    assert (authorizer.authorize(question).decision is Decision.ALLOW) is expected


@pytest.mark.parametrize(
    ("line", "selector", "reason"),
    [
        ("create - podcertificaterequests ns", "", None),
        ("get - podcertificaterequests ns mine", "", None),
        ("get - podcertificaterequests ns theirs", "", NO_PATH),
        ("list - podcertificaterequests", "spec.nodeName=n1", None),
        ("list - podcertificaterequests", "", "can only list/watch podcertificaterequests with nodeName field selector"),
        ("delete - podcertificaterequests ns mine", "", "nodes may not delete podcertificaterequests"),
        (
            "update - podcertificaterequests/status ns mine",
            "",
            "nodes may not access the status subresource of PodCertificateRequests",
        ),
    ],
)
def test_a_node_sees_its_own_certificate_requests(line: str, selector: str, reason: str | None) -> None:
    def certificate_request(name: str, node: str) -> Object:
        metadata = {"name": name, "namespace": "ns"}
        return {"apiVersion": row.api_version, "kind": row.kind, "metadata": metadata, "spec": {"nodeName": node}}

    row = POD_CERTIFICATE_REQUEST
    objects = ListedObjects(certificate_request("mine", "n1"), certificate_request("theirs", "n2"))
    asked = replace(asks(line, N1), group="certificates.k8s.io", field_selector=selector)
    answer = NodeAuthorizer(objects.cached(), frozenset({"PodCertificateRequest"})).authorize(asked)
    assert answer.reason == (reason or "") and (answer.decision is Decision.ALLOW) == (reason is None)
    assert NodeAuthorizer(objects.cached()).authorize(asked).decision is Decision.NO_OPINION


def test_only_members_of_the_nodes_group_are_nodes(authorizer: NodeAuthorizer) -> None:
    assert authorizer.authorize(asks("get - nodes - n1", User("system:node:n1"))).decision is Decision.NO_OPINION
    nameless = User("system:node:", groups=("system:nodes",))
    assert authorizer.authorize(asks("get - nodes - n1", nameless)).reason == 'unknown node for user "system:node:"'


def test_a_volume_that_is_for_a_claim_is_reached_before_the_claim_names_it() -> None:
    volume = {"claimRef": {"namespace": "ns", "name": "claim"}, "azureFile": {"secretName": "s", "secretNamespace": "ns"}}
    authorizer = NodeAuthorizer(
        ListedObjects(
            pod("p1", "n1", SPEC),
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "claim", "namespace": "ns"}, "spec": {}},
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": volume},
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "other"}, "spec": {}},
        ).cached()
    )
    found = {volume["metadata"]["name"] for volume in authorizer._volumes("n1")}
    assert (found, list(authorizer._volumes("n2"))) == ({"pv"}, [])
