"""The built-in kinds that Kubernetes v1.36 serves by default, in discovery's order (the first version of a kind is preferred).

Those that it serves only when asked to are in `optional_kinds.py`.
"""

from __future__ import annotations

from kubetree.api.kinds import SCALE, STATUS, Kind, Kinds, Subresource
from kubetree.api.optional_kinds import OPTIONAL_ROWS

ROWS: tuple[Kind, ...] = (
    Kind("", "v1", "Binding", "bindings", verbs=("create",)),
    Kind("", "v1", "ComponentStatus", "componentstatuses", namespaced=False, verbs=("get", "list"), short_names=("cs",)),
    Kind("", "v1", "ConfigMap", "configmaps", short_names=("cm",)),
    Kind("", "v1", "Endpoints", "endpoints", short_names=("ep",), registry="services/endpoints"),
    Kind("", "v1", "Event", "events", short_names=("ev",)),
    Kind("", "v1", "LimitRange", "limitranges", short_names=("limits",)),
    Kind(
        "",
        "v1",
        "Namespace",
        "namespaces",
        namespaced=False,
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
        short_names=("ns",),
        subresources=(Subresource("finalize", "", "", "Namespace", ("update",)), STATUS),
    ),
    Kind(
        "",
        "v1",
        "Node",
        "nodes",
        namespaced=False,
        short_names=("no",),
        registry="minions",
        subresources=(Subresource("proxy", "", "", "NodeProxyOptions", ("create", "delete", "get", "patch", "update")), STATUS),
    ),
    Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", short_names=("pvc",), subresources=(STATUS,)),
    Kind("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False, short_names=("pv",), subresources=(STATUS,)),
    Kind(
        "",
        "v1",
        "Pod",
        "pods",
        short_names=("po",),
        categories=("all",),
        subresources=(
            Subresource("attach", "", "", "PodAttachOptions", ("create", "get")),
            Subresource("binding", "", "", "Binding", ("create",)),
            Subresource("ephemeralcontainers", "", "", "Pod", ("get", "patch", "update")),
            Subresource("eviction", "policy", "v1", "Eviction", ("create",)),
            Subresource("exec", "", "", "PodExecOptions", ("create", "get")),
            Subresource("log", "", "", "Pod", ("get",)),
            Subresource("portforward", "", "", "PodPortForwardOptions", ("create", "get")),
            Subresource("proxy", "", "", "PodProxyOptions", ("create", "delete", "get", "patch", "update")),
            Subresource("resize", "", "", "Pod", ("get", "patch", "update")),
            STATUS,
        ),
    ),
    Kind("", "v1", "PodTemplate", "podtemplates"),
    Kind(
        "",
        "v1",
        "ReplicationController",
        "replicationcontrollers",
        short_names=("rc",),
        categories=("all",),
        registry="controllers",
        subresources=(SCALE, STATUS),
    ),
    Kind("", "v1", "ResourceQuota", "resourcequotas", short_names=("quota",), subresources=(STATUS,)),
    Kind("", "v1", "Secret", "secrets"),
    Kind(
        "",
        "v1",
        "ServiceAccount",
        "serviceaccounts",
        short_names=("sa",),
        subresources=(Subresource("token", "authentication.k8s.io", "v1", "TokenRequest", ("create",)),),
    ),
    Kind(
        "",
        "v1",
        "Service",
        "services",
        short_names=("svc",),
        categories=("all",),
        registry="services/specs",
        subresources=(Subresource("proxy", "", "", "ServiceProxyOptions", ("create", "delete", "get", "patch", "update")), STATUS),
    ),
    Kind(
        "apiregistration.k8s.io",
        "v1",
        "APIService",
        "apiservices",
        namespaced=False,
        categories=("api-extensions",),
        registry="apiregistration.k8s.io/apiservices",
        subresources=(STATUS,),
    ),
    Kind("apps", "v1", "ControllerRevision", "controllerrevisions"),
    Kind("apps", "v1", "DaemonSet", "daemonsets", short_names=("ds",), categories=("all",), subresources=(STATUS,)),
    Kind("apps", "v1", "Deployment", "deployments", short_names=("deploy",), categories=("all",), subresources=(SCALE, STATUS)),
    Kind("apps", "v1", "ReplicaSet", "replicasets", short_names=("rs",), categories=("all",), subresources=(SCALE, STATUS)),
    Kind("apps", "v1", "StatefulSet", "statefulsets", short_names=("sts",), categories=("all",), subresources=(SCALE, STATUS)),
    Kind("events.k8s.io", "v1", "Event", "events", storage_version="v1", short_names=("ev",)),
    Kind("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", namespaced=False, verbs=("create",)),
    Kind("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False, verbs=("create",)),
    Kind("authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", verbs=("create",)),
    Kind("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False, verbs=("create",)),
    Kind("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", namespaced=False, verbs=("create",)),
    Kind("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False, verbs=("create",)),
    Kind(
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        short_names=("hpa",),
        categories=("all",),
        subresources=(STATUS,),
    ),
    Kind(
        "autoscaling",
        "v1",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        storage_version="autoscaling/v2",
        short_names=("hpa",),
        categories=("all",),
        subresources=(STATUS,),
    ),
    Kind("batch", "v1", "CronJob", "cronjobs", short_names=("cj",), categories=("all",), subresources=(STATUS,)),
    Kind("batch", "v1", "Job", "jobs", categories=("all",), subresources=(STATUS,)),
    Kind(
        "certificates.k8s.io",
        "v1",
        "CertificateSigningRequest",
        "certificatesigningrequests",
        namespaced=False,
        short_names=("csr",),
        subresources=(Subresource("approval", "", "", "CertificateSigningRequest", ("get", "patch", "update")), STATUS),
    ),
    Kind("networking.k8s.io", "v1", "IngressClass", "ingressclasses", namespaced=False),
    Kind("networking.k8s.io", "v1", "Ingress", "ingresses", short_names=("ing",), registry="ingress", subresources=(STATUS,)),
    Kind("networking.k8s.io", "v1", "IPAddress", "ipaddresses", namespaced=False, short_names=("ip",)),
    Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", short_names=("netpol",)),
    Kind("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", namespaced=False, subresources=(STATUS,)),
    Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", short_names=("pdb",), subresources=(STATUS,)),
    Kind("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    Kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", namespaced=False),
    Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
    Kind("rbac.authorization.k8s.io", "v1", "Role", "roles"),
    Kind("storage.k8s.io", "v1", "CSIDriver", "csidrivers", namespaced=False),
    Kind("storage.k8s.io", "v1", "CSINode", "csinodes", namespaced=False),
    Kind("storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities"),
    Kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False, short_names=("sc",)),
    Kind("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", namespaced=False, subresources=(STATUS,)),
    Kind("storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses", namespaced=False, short_names=("vac",)),
    Kind(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingAdmissionPolicy",
        "mutatingadmissionpolicies",
        namespaced=False,
        categories=("api-extensions",),
    ),
    Kind(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingAdmissionPolicyBinding",
        "mutatingadmissionpolicybindings",
        namespaced=False,
        categories=("api-extensions",),
    ),
    Kind(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        namespaced=False,
        categories=("api-extensions",),
    ),
    Kind(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        namespaced=False,
        categories=("api-extensions",),
        subresources=(STATUS,),
    ),
    Kind(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        namespaced=False,
        categories=("api-extensions",),
    ),
    Kind(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        namespaced=False,
        categories=("api-extensions",),
    ),
    Kind(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        registry="apiextensions.k8s.io/customresourcedefinitions",
        subresources=(STATUS,),
    ),
    Kind("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", namespaced=False, short_names=("pc",)),
    Kind("coordination.k8s.io", "v1", "Lease", "leases"),
    Kind("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", namespaced=False),
    Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    Kind("resource.k8s.io", "v1", "DeviceClass", "deviceclasses", namespaced=False),
    Kind("resource.k8s.io", "v1", "ResourceClaim", "resourceclaims", subresources=(STATUS,)),
    Kind("resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates"),
    Kind("resource.k8s.io", "v1", "ResourceSlice", "resourceslices", namespaced=False),
    Kind("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", namespaced=False, subresources=(STATUS,)),
    Kind(
        "flowcontrol.apiserver.k8s.io",
        "v1",
        "PriorityLevelConfiguration",
        "prioritylevelconfigurations",
        namespaced=False,
        subresources=(STATUS,),
    ),
)


EVERY_ROW = ROWS + OPTIONAL_ROWS


def builtin() -> Kinds:
    """A fresh table of the built-in kinds that are served by default."""
    return Kinds(ROWS)


def every_kind() -> Kinds:
    """A fresh table of all built-in kinds, whether they are served or not: for those who read objects and rows of any server."""
    return Kinds(EVERY_ROW)


_TABLE = every_kind()


def kind(api_version: str, name: str) -> Kind:
    """The built-in row, for code that names it: `POD = kind("v1", "Pod")`. Raises KeyError for an unknown one."""
    row = _TABLE.by_kind(api_version, name)
    if row is None:
        raise KeyError(f"{api_version} {name}")
    return row


def storage_row(row: Kind) -> Kind:
    """The row that objects of a row are stored as, whether that one is served or not: itself for most, and for custom resources, which
    are prepared and checked in the version asked for."""
    if row.behaviour is not None or row.stored_as == row.api_version:
        return row
    return _TABLE.by_kind(row.stored_as, row.kind) or row
