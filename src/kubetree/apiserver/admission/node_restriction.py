"""NodeRestriction: a kubelet changes only its own node, its own pods and what belongs to them.

Follows plugin/pkg/admission/noderestriction, with ServiceAccountNodeAudienceRestriction on, as v1.36 has it by default.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography import x509

from kubetree.api.errors import not_found
from kubetree.api.feature_gates import DEFAULT_FEATURES, Features
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.apiserver.admission.internal_errors import internal_error
from kubetree.apiserver.admission.plugin import ANY_SUBRESOURCE, Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, DELETE, UPDATE, AdmissionRequest
from kubetree.apiserver.authentication.client_certificates import common_name
from kubetree.apiserver.authentication.user import NODE_PREFIX, node_name
from kubetree.apiserver.authorization.attributes import Attributes, Authorizer, Decision
from kubetree.apiserver.authorization.pod_references import CONFIG_MAPS, SECRETS, references
from kubetree.apiserver.lister import Lister

NODE, POD, SERVICE_ACCOUNT = kind("v1", "Node"), kind("v1", "Pod"), kind("v1", "ServiceAccount")
CLAIM, VOLUME = kind("v1", "PersistentVolumeClaim"), kind("v1", "PersistentVolume")
CSI_DRIVER = kind("storage.k8s.io/v1", "CSIDriver")
MIRROR = "kubernetes.io/config.mirror"
LEASE_NAMESPACE = "kube-node-lease"
_RESTRICTED = "node-restriction.kubernetes.io"
_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
_KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    }
)
_KUBELET_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")

Object = dict[str, Any]


class NodeRestriction(Plugin):
    name = "NodeRestriction"
    operations = frozenset({CREATE, UPDATE, DELETE})
    resources = frozenset(
        {
            "pods",
            "nodes",
            "persistentvolumeclaims",
            "serviceaccounts",
            "leases.coordination.k8s.io",
            "csinodes.storage.k8s.io",
            "resourceslices.resource.k8s.io",
            "certificatesigningrequests.certificates.k8s.io",
            "podcertificaterequests.certificates.k8s.io",
        }
    )
    subresources = ANY_SUBRESOURCE
    mutates = True

    def __init__(self, lister: Lister, authorizer: Authorizer, features: Features = DEFAULT_FEATURES) -> None:
        self._lister, self._authorizer = lister, authorizer
        self._pod_certificates = "PodCertificateRequest" in features
        self._checks = {
            "pods": self._pod,
            "nodes": self._node,
            "persistentvolumeclaims": self._claim,
            "serviceaccounts": self._token,
            "leases": self._lease,
            "csinodes": self._csi_node,
            "resourceslices": self._slice,
            "certificatesigningrequests": self._signing_request,
            "podcertificaterequests": self._pod_certificate,
        }

    def admit(self, request: AdmissionRequest) -> None:
        node = node_name(request.user)
        if node is None:
            return
        if not node:
            raise refusal(request, f'could not determine node from user "{request.user.name}"')
        complaint = self._checks[request.kind.plural](node, request)
        if complaint:
            raise refusal(request, complaint)

    def _pod(self, node: str, request: AdmissionRequest) -> str:
        match request.subresource, request.operation:
            case "", "CREATE":
                return next(self._mirror_faults(node, request.obj or {}), "")
            case "", "DELETE":
                found = self._existing_pod(request.namespace, request.name)
                return "" if _on(found, node) else f'node "{node}" can only delete pods with spec.nodeName set to itself'
            case "", operation:
                return f'unexpected operation "{operation}", node "{node}" can only create and delete mirror pods'
            case "status", "UPDATE":
                return _status_fault(node, request.obj or {}, request.old or {})
            case "eviction", "CREATE":
                found = self._existing_pod(request.namespace, request.name)
                return "" if _on(found, node) else f"node {node} can only evict pods with spec.nodeName set to itself"
            case "status" | "eviction", operation:
                return f'unexpected operation "{operation}"'
        return f"unexpected pod subresource {json.dumps(request.subresource)}, only 'status' and 'eviction' are allowed"

    def _existing_pod(self, namespace: str, name: str) -> Object:
        """Raises NotFound."""
        found = self._lister.get(POD, namespace, name)
        if found is None:
            raise not_found("pods", "", name)
        return found

    def _mirror_faults(self, node: str, pod: Object) -> Iterator[str]:
        metadata = pod["metadata"]
        if MIRROR not in (metadata.get("annotations") or ()):
            yield f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
        if not _on(pod, node):
            yield f'node "{node}" can only create pods with spec.nodeName set to itself'
        owners = metadata.get("ownerReferences") or []
        if len(owners) > 1:
            yield f'node "{node}" can only create pods with a single owner reference set to itself'
        itself = {"apiVersion": "v1", "kind": "Node", "name": node}
        if not owners or any(owners[0].get(field) != value for field, value in itself.items()):
            yield f'node "{node}" can only create pods with an owner reference set to itself'
            return
        if not owners[0].get("controller"):
            yield f'node "{node}" can only create pods with a controller owner reference set to itself'
        if owners[0].get("blockOwnerDeletion"):
            yield f'node "{node}" must not set blockOwnerDeletion on an owner reference'
        found = self._lister.get(NODE, "", node)
        if found is None:
            raise not_found("nodes", "", node)
        if owners[0].get("uid") != found["metadata"]["uid"]:
            yield f"node {node} UID mismatch: expected {owners[0].get('uid', '')} got {found['metadata']['uid']}"
        reference = _api_reference(pod)
        if reference:
            yield f'node "{node}" can not create pods that reference {reference}'

    def _node(self, node: str, request: AdmissionRequest) -> str:
        if (request.name or (request.obj or {}).get("metadata", {}).get("name")) != node:
            return f'node "{node}" is not allowed to modify node "{request.name}"'
        new, old = request.obj or {}, request.old or {}
        spec, before = new.get("spec") or {}, old.get("spec") or {}
        if request.operation == CREATE:
            if spec.get("configSource") is not None:
                return f'node "{node}" is not allowed to create pods with a non-nil configSource'
            labels = _forbidden_labels(_labels(new), {})
            return f'node "{node}" is not allowed to set the following labels: {", ".join(labels)}' if labels else ""
        if request.operation == DELETE:
            return ""
        if spec.get("configSource") is not None and spec["configSource"] != before.get("configSource"):
            return f'node "{node}" is not allowed to update configSource to a new non-nil configSource'
        if (spec.get("taints") or []) != (before.get("taints") or []):
            return f'node "{node}" is not allowed to modify taints'
        if (new["metadata"].get("ownerReferences") or []) != (old["metadata"].get("ownerReferences") or []):
            return f'node "{node}" is not allowed to modify ownerReferences'
        labels = _forbidden_labels(_labels(new), _labels(old))
        return f"is not allowed to modify labels: {', '.join(labels)}" if labels else ""

    def _claim(self, node: str, request: AdmissionRequest) -> str:
        if request.subresource != "status":
            return "may only update PVC status"
        if request.operation != UPDATE:
            return f'unexpected operation "{request.operation}"'
        if _claim_but_progress(request.obj or {}) != _claim_but_progress(request.old or {}):
            return f'node "{node}" is not allowed to update fields other than status.quantity and status.conditions'
        return ""

    def _token(self, node: str, request: AdmissionRequest) -> str:
        if request.operation != CREATE or request.subresource != "token":
            return ""
        spec = (request.obj or {}).get("spec") or {}
        bound = spec.get("boundObjectRef") or {}
        if (bound.get("apiVersion"), bound.get("kind")) != ("v1", "Pod") or not bound.get("name"):
            return "node requested token not bound to a pod"
        if not bound.get("uid"):
            return "node requested token with a pod binding without a uid"
        pod = self._existing_pod(request.namespace, bound["name"])
        if pod["metadata"]["uid"] != bound["uid"]:
            return (
                f"the UID in the bound object reference ({bound['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
        if not _on(pod, node):
            return "node requested token bound to a pod scheduled on a different node"
        return self._audience_fault(request, pod, spec.get("audiences") or [])

    def _audience_fault(self, request: AdmissionRequest, pod: Object, audiences: list[str]) -> str:
        if len(audiences) > 1:
            return "node may only request 0 or 1 audiences"
        audience = audiences[0] if audiences else ""
        missing: list[str] = []
        if audience in self._audiences_of(pod, missing):
            return ""
        if missing:
            why = missing[0] if len(missing) == 1 else f"[{', '.join(missing)}]"
            return f"error validating audience {json.dumps(audience)}: {why}"
        asked = Attributes(
            request.user,
            "request-serviceaccounts-token-audience",
            version="v1",
            resource=audience,
            namespace=request.namespace,
            name=request.name,
        )
        if audience and self._authorizer.authorize(asked).decision is Decision.ALLOW:
            return ""
        quoted = json.dumps(audience)
        return f"audience {quoted} not found in pod spec volume, {request.user.name} is not authorized to request tokens for this audience"

    def _audiences_of(self, pod: Object, missing: list[str]) -> Iterator[str]:
        """Of the tokens that the pod's volumes project, and of those that its CSI drivers ask for. `missing` gets what is not there."""
        namespace = pod["metadata"]["namespace"]
        for volume in pod["spec"].get("volumes") or ():
            for source in (volume.get("projected") or {}).get("sources") or ():
                if "serviceAccountToken" in source:
                    yield source["serviceAccountToken"].get("audience", "")
            driver = _driver_in(volume)
            if "persistentVolumeClaim" in volume:
                driver = self._driver_of(namespace, volume["persistentVolumeClaim"].get("claimName", ""), missing)
            elif "ephemeral" in volume:
                driver = self._driver_of(namespace, f"{pod['metadata']['name']}-{volume['name']}", missing)
            found = self._lister.get(CSI_DRIVER, "", driver) if driver else None
            if driver and found is None:
                missing.append(f'csidriver.storage.k8s.io "{driver}" not found')
            for token in ((found or {}).get("spec") or {}).get("tokenRequests") or ():
                yield token.get("audience", "")

    def _driver_of(self, namespace: str, claim_name: str, missing: list[str]) -> str:
        claim = self._lister.get(CLAIM, namespace, claim_name)
        if claim is None:
            missing.append(f'persistentvolumeclaim "{claim_name}" not found')
            return ""
        name = (claim.get("spec") or {}).get("volumeName") or ""
        volume = self._lister.get(VOLUME, "", name)
        if volume is None:
            missing.append(f'persistentvolume "{name}" not found')
        return _driver_in((volume or {}).get("spec") or {})

    def _lease(self, node: str, request: AdmissionRequest) -> str:
        if request.namespace != LEASE_NAMESPACE:
            return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
        return "" if _name(request) == node else "can only access node lease with the same name as the requesting node"

    def _csi_node(self, node: str, request: AdmissionRequest) -> str:
        return "" if _name(request) == node else "can only access CSINode with the same name as the requesting node"

    def _slice(self, node: str, request: AdmissionRequest) -> str:
        if request.operation == UPDATE:
            return ""
        found = (request.obj if request.operation == CREATE else request.old) or {}
        if (found.get("spec") or {}).get("nodeName") == node:
            return ""
        verb = "create" if request.operation == CREATE else "delete"
        return f"can only {verb} ResourceSlice with the same NodeName as the requesting node"

    def _signing_request(self, node: str, request: AdmissionRequest) -> str:
        spec = (request.obj or {}).get("spec") or {}
        if request.operation != CREATE or spec.get("signerName") not in _SIGNERS:
            return ""
        try:
            asked = x509.load_pem_x509_csr(base64.b64decode(spec.get("request") or ""))
        except (ValueError, binascii.Error) as error:
            return f"unable to parse csr: {error}"
        return "" if common_name(asked) == f"{NODE_PREFIX}{node}" else f"can only create a node CSR with CN={NODE_PREFIX}{node}"

    def _pod_certificate(self, node: str, request: AdmissionRequest) -> str:
        """What is told as an internal error may be a cache that lags behind: the kubelet tries again."""
        if not self._pod_certificates:
            return "PodCertificateRequest feature gate is disabled"
        if request.operation != CREATE:
            return f"unexpected operation {request.operation}"
        if request.subresource:
            return f"unexpected subresource {request.subresource}"
        spec = (request.obj or {}).get("spec") or {}
        named, pod_name, account = (spec.get(field) or "" for field in ("nodeName", "podName", "serviceAccountName"))
        if named != node:
            return f'PodCertificateRequest.Spec.NodeName="{named}", which is not the requesting node "{node}"'
        pod_key, account_key = f"{request.namespace}/{pod_name}", f"{request.namespace}/{account}"
        uid = self._uid(NODE, "", named, f'node "{named}"')
        if uid != spec.get("nodeUID"):
            wrong = f'names node UID "{spec.get("nodeUID") or ""}", inconsistent with the running node ("{uid}")'
            raise internal_error(f'PodCertificateRequest for pod "{pod_key}" {wrong}')
        uid = self._uid(POD, request.namespace, pod_name, f'pod "{pod_key}"')
        if uid != spec.get("podUID"):
            wrong = f'contains pod UID ("{spec.get("podUID") or ""}") which differs from running pod "{uid}"'
            raise internal_error(f'PodCertificateRequest for pod "{pod_key}" {wrong}')
        pod = self._existing_pod(request.namespace, pod_name)
        if not _on(pod, named):
            return f'pod "{pod_key}" is not running on node "{named}" named in the PodCertificateRequest'
        if MIRROR in (pod["metadata"].get("annotations") or ()):
            return f'pod "{pod_key}" is a mirror pod'
        runs_as = pod["spec"].get("serviceAccountName") or ""
        if account != runs_as:
            wrong = f'contains serviceAccountName ("{account}") that differs from running pod ("{runs_as}")'
            return f'PodCertificateRequest for pod "{pod_key}" {wrong}'
        uid = self._uid(SERVICE_ACCOUNT, request.namespace, account, f'service account "{account_key}"')
        if uid != spec.get("serviceAccountUID"):
            given = spec.get("serviceAccountUID") or ""
            wrong = f'names service account UID "{given}", which differs from the running service account ("{uid}")'
            raise internal_error(f'PodCertificateRequest for pod "{pod_key}" {wrong}')
        return ""

    def _uid(self, row: Kind, namespace: str, name: str, what: str) -> str:
        found = self._lister.get(row, namespace, name)
        if found is None:
            missing = f'{row.plural} "{name}" not found'
            raise internal_error(f"while retrieving {what} named in the PodCertificateRequest: {missing}")
        return str(found["metadata"].get("uid") or "")


def _on(pod: Object, node: str) -> bool:
    return bool((pod.get("spec") or {}).get("nodeName") == node)


def _name(request: AdmissionRequest) -> str:
    return request.name or str((request.obj or {}).get("metadata", {}).get("name") or "")


def _labels(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def _status_fault(node: str, new: Object, old: Object) -> str:
    if not _on(old, node):
        return f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
    if _labels(new) != _labels(old):
        return f'node "{node}" cannot update labels through pod status'
    status, before = new.get("status") or {}, old.get("status") or {}
    if (status.get("resourceClaimStatuses") or []) != (before.get("resourceClaimStatuses") or []):
        return f'node "{node}" cannot update resource claim statues'
    if (status.get("extendedResourceClaimStatus") or {}) != (before.get("extendedResourceClaimStatus") or {}):
        return f'node "{node}" cannot update extended resource claim status'
    return ""


def _claim_but_progress(claim: Object) -> Object:
    """A claim without what a kubelet reports of its resizing."""
    progress = ("capacity", "conditions", "allocatedResourceStatuses", "allocatedResources")
    metadata = {k: v for k, v in claim["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    status = {k: v for k, v in (claim.get("status") or {}).items() if k not in progress}
    return claim | {"metadata": metadata, "status": status}


def _forbidden_labels(new: Mapping[str, str], old: Mapping[str, str]) -> list[str]:
    changed = {key for key in new.keys() | old.keys() if new.get(key) != old.get(key)}
    return sorted(key for key in changed if _is_forbidden_label(key))


def _is_forbidden_label(key: str) -> bool:
    prefix, slash, _ = key.partition("/")
    if not slash:
        return False
    if _below(prefix, _RESTRICTED):
        return True
    if not (_below(prefix, "kubernetes.io") or _below(prefix, "k8s.io")):
        return False
    return key not in _KUBELET_LABELS and not any(_below(prefix, allowed) for allowed in _KUBELET_NAMESPACES)


def _below(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _api_reference(pod: Object) -> str:
    """What kind of API object a mirror pod refers to, '' when none."""
    spec = pod.get("spec") or {}
    if spec.get("serviceAccountName"):
        return "serviceaccounts"
    resources = {resource for resource, _ in references(pod)}
    for resource in (SECRETS, CONFIG_MAPS):
        if resource in resources:
            return resource
    if spec.get("resourceClaims"):
        return "resourceclaims"
    for volume in spec.get("volumes") or ():
        for source, label in _REFERRING_VOLUMES.items():
            if source in volume:
                return label
        for source in (volume.get("projected") or {}).get("sources") or ():
            label = next((label for name, label in _REFERRING_PROJECTIONS.items() if name in source), "")
            if label:
                return label
    return ""


_REFERRING_VOLUMES = {
    "csi": "csidrivers (via CSI volumes)",
    "glusterfs": "endpoints (via glusterFS volumes)",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims (via ephemeral volumes)",
}
_REFERRING_PROJECTIONS = {
    "serviceAccountToken": "serviceaccounts (via projected volumes)",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificates",
}


_MIGRATED = {
    "awsElasticBlockStore": "ebs.csi.aws.com",
    "azureDisk": "disk.csi.azure.com",
    "azureFile": "file.csi.azure.com",
    "cinder": "cinder.csi.openstack.org",
    "gcePersistentDisk": "pd.csi.storage.gke.io",
    "portworxVolume": "pxd.portworx.com",
    "vsphereVolume": "csi.vsphere.vmware.com",
}
"""Volumes of old sorts are a CSI driver's now."""


def _driver_in(source: Object) -> str:
    """The CSI driver of a pod's volume, or of a persistent one's spec; '' for none."""
    if "csi" in source:
        return str((source["csi"] or {}).get("driver") or "")
    return next((driver for field, driver in _MIGRATED.items() if field in source), "")
