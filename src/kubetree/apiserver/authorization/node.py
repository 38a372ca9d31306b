"""The Node authorizer: a kubelet may read what the pods bound to its node refer to, and no more.

Follows plugin/pkg/auth/authorizer/node. Where upstream keeps a graph, this walks from the node: the watch cache indexes pods by
spec.nodeName, a node has about a hundred of them, and what a pod refers to is kept with its uid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kubetree.api.feature_gates import DEFAULT_FEATURES, Features
from kubetree.api.kind_table import kind
from kubetree.apiserver.authentication.user import User, node_name
from kubetree.apiserver.authorization.attributes import Answer, Attributes, Decision
from kubetree.apiserver.authorization.bootstrap.cluster_roles import CLUSTER_ROLES
from kubetree.apiserver.authorization.bootstrap.gated_roles import GATED_CLUSTER_ROLES, with_gated
from kubetree.apiserver.authorization.pod_references import (
    CLAIMS,
    CONFIG_MAPS,
    RESOURCE_CLAIMS,
    SECRETS,
    SERVICE_ACCOUNTS,
    persistent_volume_secrets,
    references,
)
from kubetree.apiserver.authorization.rules import PolicyRule, Rules
from kubetree.apiserver.lister import Lister

POD = kind("v1", "Pod")
CLAIM, VOLUME = kind("v1", "PersistentVolumeClaim"), kind("v1", "PersistentVolume")
POD_CERTIFICATE_REQUEST = kind("certificates.k8s.io/v1beta1", "PodCertificateRequest")
ATTACHMENT, SLICE = kind("storage.k8s.io/v1", "VolumeAttachment"), kind("resource.k8s.io/v1", "ResourceSlice")

ALLOW, NO_OPINION = Answer(Decision.ALLOW), Answer(Decision.NO_OPINION)
MIRROR = "kubernetes.io/config.mirror"
LEASE_NAMESPACE = "kube-node-lease"
_CACHE_LIMIT = 65536
_OWN_VERBS = ("get", "create", "update", "patch", "delete")

Object = dict[str, Any]


def refuse(reason: str) -> Answer:
    return Answer(Decision.NO_OPINION, reason)


class NodeAuthorizer:
    def __init__(self, lister: Lister, features: Features = DEFAULT_FEATURES) -> None:
        self._lister = lister
        self._rules: tuple[PolicyRule, ...] = with_gated(CLUSTER_ROLES, GATED_CLUSTER_ROLES, features)["system:node"]
        self._references: dict[tuple[str, int, int], frozenset[tuple[str, str]]] = {}
        self._resources: dict[tuple[str, str], Callable[[str, Attributes], Answer]] = {
            ("", SECRETS): self._read,
            ("", CONFIG_MAPS): self._read,
            ("", CLAIMS): self._claim,
            ("", "persistentvolumes"): self._get,
            ("resource.k8s.io", RESOURCE_CLAIMS): self._get,
            ("storage.k8s.io", "volumeattachments"): self._get,
            ("", SERVICE_ACCOUNTS): self._service_account,
            ("coordination.k8s.io", "leases"): self._lease,
            ("storage.k8s.io", "csinodes"): self._csi_node,
            ("resource.k8s.io", "resourceslices"): self._slice,
            ("", "nodes"): self._node,
            ("", "pods"): self._pod,
            ("certificates.k8s.io", "podcertificaterequests"): self._pod_certificate,
        }
        self._pod_certificates = "PodCertificateRequest" in features

    def authorize(self, attributes: Attributes) -> Answer:
        node = node_name(attributes.user)
        if node is None:
            return NO_OPINION
        if not node:
            return refuse(f'unknown node for user "{attributes.user.name}"')
        special = self._resources.get((attributes.group, attributes.resource)) if attributes.is_resource else None
        if special is not None:
            return special(node, attributes)
        return ALLOW if any(rule.allows(attributes) for rule in self._rules) else NO_OPINION

    def rules_of(self, user: User, namespace: str) -> Rules:
        """What a node may read depends on its pods, which no list of rules can say."""
        return Rules() if node_name(user) is None else Rules(incomplete=True, error="node authorizer does not support user rule resolution")

    def _read(self, node: str, asked: Attributes) -> Answer:
        if asked.verb not in ("get", "list", "watch"):
            return refuse("can only read resources of this type")
        if asked.subresource:
            return refuse("cannot read subresource")
        if not asked.namespace:
            return refuse("can only read namespaced object of this type")
        return self._related(node, asked)

    def _get(self, node: str, asked: Attributes) -> Answer:
        if asked.verb != "get":
            return refuse("can only get individual resources of this type")
        if asked.subresource:
            return refuse("cannot get subresource")
        return self._related(node, asked)

    def _claim(self, node: str, asked: Attributes) -> Answer:
        if asked.subresource != "status":
            return self._get(node, asked)
        if asked.verb not in ("update", "patch"):
            return refuse("can only get/update/patch this type")
        return self._related(node, asked)

    def _service_account(self, node: str, asked: Attributes) -> Answer:
        if asked.verb == "get" and not asked.subresource:
            return self._read(node, asked)
        if asked.verb != "create" or not asked.name:
            return refuse("can only create tokens for individual service accounts")
        if asked.subresource != "token":
            return refuse("can only create token subresource of serviceaccount")
        return self._related(node, asked)

    def _lease(self, node: str, asked: Attributes) -> Answer:
        if asked.verb not in _OWN_VERBS:
            return refuse("can only get, create, update, patch, or delete a node lease")
        if asked.namespace != LEASE_NAMESPACE:
            return refuse(f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
        if asked.verb != "create" and asked.name != node:
            return refuse("can only access node lease with the same name as the requesting node")
        return ALLOW

    def _csi_node(self, node: str, asked: Attributes) -> Answer:
        if asked.verb not in _OWN_VERBS:
            return refuse("can only get, create, update, patch, or delete a CSINode")
        if asked.subresource:
            return refuse("cannot authorize CSINode subresources")
        if asked.verb != "create" and asked.name != node:
            return refuse("can only access CSINode with the same name as the requesting node")
        return ALLOW

    def _slice(self, node: str, asked: Attributes) -> Answer:
        if asked.subresource:
            return refuse("cannot authorize ResourceSlice subresources")
        match asked.verb:
            case "create":
                return ALLOW
            case "get" | "update" | "patch" | "delete":
                return self._related(node, asked)
            case "watch" | "list" | "deletecollection":
                if _selects(asked, "spec.nodeName", node):
                    return ALLOW
                return refuse("can only list/watch/deletecollection resourceslices with nodeName field selector")
        verbs = "get, watch, list, create, update, patch, delete, deletecollection"
        return refuse(f"only the following verbs are allowed for a ResourceSlice: {verbs}")

    def _pod_certificate(self, node: str, asked: Attributes) -> Answer:
        if not self._pod_certificates:
            return NO_OPINION
        if asked.subresource:
            return refuse("nodes may not access the status subresource of PodCertificateRequests")
        match asked.verb:
            case "create":
                return ALLOW
            case "get":
                return self._related(node, asked)
            case "list" | "watch":
                if _selects(asked, "spec.nodeName", node):
                    return ALLOW
                return refuse("can only list/watch podcertificaterequests with nodeName field selector")
        return refuse(f"nodes may not {asked.verb} podcertificaterequests")

    def _node(self, node: str, asked: Attributes) -> Answer:
        match asked.subresource, asked.verb:
            case "", "create" | "update" | "patch":
                return ALLOW
            case "status", "update" | "patch":
                return ALLOW
            case "", "get" | "list" | "watch":
                if asked.name == node:
                    return ALLOW
                if not asked.name:
                    return refuse(f"node '{node}' cannot read all nodes, only its own Node object")
                return refuse(f"node '{node}' cannot read '{asked.name}', only its own Node object")
        return NO_OPINION

    def _pod(self, node: str, asked: Attributes) -> Answer:
        match asked.subresource, asked.verb:
            case "", "get":
                return self._related(node, asked)
            case "", "list" | "watch":
                if _selects(asked, "spec.nodeName", node):
                    return ALLOW
                if asked.name:
                    return self._related(node, asked)
                return refuse("can only list/watch pods with spec.nodeName field selector")
            case ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create"):
                return ALLOW
        return NO_OPINION

    def _related(self, node: str, asked: Attributes) -> Answer:
        if not asked.name:
            return refuse("No Object name found")
        if self._has_path(node, asked):
            return ALLOW
        return refuse(f"no relationship found between node '{node}' and this object")

    def _has_path(self, node: str, asked: Attributes) -> bool:
        match asked.resource:
            case "pods":
                found = self._lister.get(POD, asked.namespace, asked.name)
                return found is not None and found["spec"].get("nodeName") == node
            case "volumeattachments":
                found = self._lister.get(ATTACHMENT, "", asked.name)
                return found is not None and found["spec"].get("nodeName") == node
            case "resourceslices":
                found = self._lister.get(SLICE, "", asked.name)
                return found is not None and found["spec"].get("nodeName") == node
            case "podcertificaterequests":
                found = self._lister.get(POD_CERTIFICATE_REQUEST, asked.namespace, asked.name)
                return found is not None and found["spec"].get("nodeName") == node
            case "persistentvolumes":
                return any(volume["metadata"]["name"] == asked.name for volume in self._volumes(node))
        wanted = (asked.resource, asked.name)
        for pod in self._lister.selected(POD, "spec.nodeName", node):
            if pod["metadata"].get("namespace") == asked.namespace and wanted in self._referred(pod):
                return True
        if asked.resource != SECRETS:
            return False
        secret = (asked.namespace, asked.name)
        return any(secret in persistent_volume_secrets(volume) for volume in self._volumes(node))

    def _volumes(self, node: str) -> Iterator[Object]:
        """The persistent volumes that are for claims of the node's pods: what a volume says counts."""
        for pod in self._lister.selected(POD, "spec.nodeName", node):
            namespace = pod["metadata"].get("namespace", "")
            for resource, name in self._referred(pod):
                if resource != CLAIMS:
                    continue
                bound = (self._lister.get(CLAIM, namespace, name) or {}).get("spec", {}).get("volumeName")
                volume = self._lister.get(VOLUME, "", bound) if bound else None
                for found in (volume,) if volume is not None else self._lister.list(VOLUME):  # a claim that is not bound yet: few are
                    reference = (found.get("spec") or {}).get("claimRef") or {}
                    if (reference.get("namespace"), reference.get("name")) == (namespace, name):
                        yield found

    def _referred(self, pod: Object) -> frozenset[tuple[str, str]]:
        """Nothing for a mirror pod: a node must not gain access by creating a pod."""
        metadata = pod["metadata"]
        if MIRROR in (metadata.get("annotations") or ()):
            return frozenset()
        ephemeral = len(pod["spec"].get("ephemeralContainers") or ())
        claims = len((pod.get("status") or {}).get("resourceClaimStatuses") or ())
        key = (metadata.get("uid", ""), ephemeral, claims)
        found = self._references.get(key)
        if found is None:
            if len(self._references) >= _CACHE_LIMIT:
                self._references.clear()
            found = self._references[key] = references(pod)
        return found


def _selects(asked: Attributes, field: str, value: str) -> bool:
    """Whether the request's field selector demands that the field has the value."""
    for term in asked.field_selector.split(","):
        key, equals, wanted = term.partition("=")
        if equals and key.strip() == field and wanted.removeprefix("=").strip() == value:
            return True
    return False
