"""The types of `request` and `namespaceObject`. Follows admission/plugin/cel/compile.go: they are written by hand there too."""

from __future__ import annotations

from kubetree.api.cel import BOOL, DYN, INT, STRING, TIMESTAMP, list_of, map_of
from kubetree.api.cel.types import struct

_STRINGS, _TEXTS = list_of(STRING), map_of(STRING, STRING)
_GROUP_VERSION_KIND = struct("kubernetes.GroupVersionKind", {"group": STRING, "version": STRING, "kind": STRING})
_GROUP_VERSION_RESOURCE = struct("kubernetes.GroupVersionResource", {"group": STRING, "version": STRING, "resource": STRING})
_USER_INFO = struct("kubernetes.UserInfo", {"username": STRING, "uid": STRING, "groups": _STRINGS, "extra": map_of(STRING, _STRINGS)})

REQUEST = struct(
    "kubernetes.AdmissionRequest",
    {
        "kind": _GROUP_VERSION_KIND,
        "resource": _GROUP_VERSION_RESOURCE,
        "subResource": STRING,
        "requestKind": _GROUP_VERSION_KIND,
        "requestResource": _GROUP_VERSION_RESOURCE,
        "requestSubResource": STRING,
        "name": STRING,
        "namespace": STRING,
        "operation": STRING,
        "userInfo": _USER_INFO,
        "dryRun": BOOL,
        "options": DYN,
    },
)

_CONDITION = struct(
    "kubernetes.NamespaceCondition",
    {"status": STRING, "type": STRING, "lastTransitionTime": TIMESTAMP, "message": STRING, "reason": STRING},
)
_METADATA = struct(
    "kubernetes.NamespaceMetadata",
    {
        "name": STRING,
        "generateName": STRING,
        "namespace": STRING,
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "UID": STRING,
        "creationTimestamp": TIMESTAMP,
        "deletionGracePeriodSeconds": INT,
        "deletionTimestamp": TIMESTAMP,
        "generation": INT,
        "resourceVersion": STRING,
        "finalizers": _STRINGS,
    },
)
NAMESPACE = struct(
    "kubernetes.Namespace",
    {
        "metadata": _METADATA,
        "spec": struct("kubernetes.NamespaceSpec", {"finalizers": _STRINGS}),
        "status": struct("kubernetes.NamespaceStatus", {"conditions": list_of(_CONDITION), "phase": STRING}),
    },
)
