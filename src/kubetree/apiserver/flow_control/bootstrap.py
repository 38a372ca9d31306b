"""The FlowSchemas and PriorityLevelConfigurations that upstream starts with: two of each are mandatory, the others suggested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]

AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
"""While it is "true" the server keeps an object's spec as it is here; "false" hands the object over to the administrator."""
EXEMPT, CATCH_ALL = "exempt", "catch-all"

_ALL_PATHS = ({"nonResourceURLs": ["*"], "verbs": ["*"]},)
_EVERYONE = ("Group system:unauthenticated", "Group system:authenticated")


def _resources(groups: Sequence[str], resources: Sequence[str], verbs: Sequence[str] = ("*",), *, cluster: bool = True) -> Object:
    rule: Object = {"verbs": list(verbs), "apiGroups": list(groups), "resources": list(resources), "namespaces": ["*"]}
    return rule | {"clusterScope": True} if cluster else rule


_EVERYTHING = (_resources("*", "*"),)


def _subject(text: str) -> Object:
    """`Group name`, `User name` or `ServiceAccount namespace/name`."""
    kind, name = text.split(" ")
    if kind == "ServiceAccount":
        namespace, name = name.split("/")
        return {"kind": kind, "serviceAccount": {"namespace": namespace, "name": name}}
    return {"kind": kind, kind.lower(): {"name": name}}


def _schema(
    name: str,
    level: str,
    precedence: int,
    method: str,
    subjects: Sequence[str],
    resources: Sequence[Object] = _EVERYTHING,
    paths: Sequence[Object] = _ALL_PATHS,
) -> Object:
    rule: Object = {"subjects": [_subject(s) for s in subjects]}
    if resources:
        rule["resourceRules"] = list(resources)
    if paths:
        rule["nonResourceRules"] = list(paths)
    spec: Object = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": [rule]}
    if method:
        spec["distinguisherMethod"] = {"type": method}
    return {"metadata": {"name": name}, "spec": spec}


def _level(name: str, shares: int, lendable: int, queues: int = 0, hand: int = 0, length: int = 0) -> Object:
    """Without queues: what does not fit is refused at once."""
    response: Object = {"type": "Reject"}
    if queues:
        response = {"type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": length}}
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
    return {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}


_LEADERS = ("User system:kube-controller-manager", "User system:kube-scheduler", "ServiceAccount kube-system/*")
_LEASES = _resources(["coordination.k8s.io"], ["leases"], ["get", "create", "update"], cluster=False)
_NODE_STATUS = (_resources([""], ["nodes", "nodes/status"]), _resources(["coordination.k8s.io"], ["leases"], cluster=False))
_PROBES = ({"nonResourceURLs": ["/healthz", "/readyz", "/livez"], "verbs": ["get"]},)

MANDATORY_SCHEMAS = (
    _schema(EXEMPT, EXEMPT, 1, "", ["Group system:masters"]),
    _schema(CATCH_ALL, CATCH_ALL, 10000, "ByUser", _EVERYONE),
)
SUGGESTED_SCHEMAS = (
    _schema("probes", EXEMPT, 2, "", _EVERYONE, (), _PROBES),
    _schema("system-leader-election", "leader-election", 100, "ByUser", _LEADERS, (_LEASES,), ()),
    _schema("system-node-high", "node-high", 400, "ByUser", ["Group system:nodes"], _NODE_STATUS, ()),
    _schema("system-nodes", "system", 500, "ByUser", ["Group system:nodes"]),
    _schema("kube-controller-manager", "workload-high", 800, "ByNamespace", ["User system:kube-controller-manager"]),
    _schema("kube-scheduler", "workload-high", 800, "ByNamespace", ["User system:kube-scheduler"]),
    _schema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", ["ServiceAccount kube-system/*"]),
    _schema("service-accounts", "workload-low", 9000, "ByUser", ["Group system:serviceaccounts"]),
    _schema("global-default", "global-default", 9900, "ByUser", _EVERYONE),
)
MANDATORY_LEVELS = (
    {"metadata": {"name": EXEMPT}, "spec": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}},
    _level(CATCH_ALL, 5, 0),
)
SUGGESTED_LEVELS = (
    _level("system", 30, 33, 64, 6, 50),
    _level("node-high", 40, 25, 64, 6, 50),
    _level("leader-election", 10, 0, 16, 4, 50),
    _level("workload-high", 40, 50, 128, 6, 50),
    _level("workload-low", 100, 90, 128, 6, 50),
    _level("global-default", 20, 50, 128, 6, 50),
)
