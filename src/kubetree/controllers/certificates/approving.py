"""Approves the client certificates that kubelets ask for: the first one when RBAC lets who asks be a node, later ones for itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.times import format_time, parse_time
from kubetree.controllers.certificates.requests import (
    CSR,
    KUBELET_CLIENT,
    Asked,
    Refused,
    certificate_of,
    check_kubelet_client,
    has_condition,
    parse,
)
from kubetree.controllers.plan import NOTHING, Create, Outcome, Plan, RequeueAfter, Update, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

REVIEW = kind("authorization.k8s.io/v1", "SubjectAccessReview")
SELF = ("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.")
ANY = ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.2, 1000.0
"""Seconds."""

WATCHES = {CSR: own_key}


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    csr = snapshot.get(CSR, *key)
    if csr is None or certificate_of(csr) or has_condition(csr, "Approved") or has_condition(csr, "Denied"):
        return NOTHING
    if csr["spec"]["signerName"] != KUBELET_CLIENT:
        return NOTHING
    asked = parse(csr)
    try:
        check_kubelet_client(asked, csr["spec"].get("usages") or ())
    except Refused:
        return NOTHING
    permissions = [SELF, ANY] if _asks_for_itself(csr, asked) else [ANY]

    def decide(outcome: Outcome) -> Plan:
        for (_, message), review in zip(permissions, outcome.results, strict=False):
            if review is not None and (review.get("status") or {}).get("allowed"):
                return plan(_approval(csr, message, now))
        return plan(RequeueAfter(_pause(csr, now)))

    return plan([Create(REVIEW, _review(csr, subresource)) for subresource, _ in permissions], then=decide)


def _pause(csr: Object, now: datetime) -> float:
    """Who asks may be allowed it later: the pauses double, as it is as long until the next look as it has been since the request."""
    age = (now - parse_time(csr["metadata"]["creationTimestamp"])).total_seconds()
    return min(max(age, _SHORTEST_PAUSE), _LONGEST_PAUSE)


def _asks_for_itself(csr: Object, asked: Asked) -> bool:
    return bool(csr["spec"].get("username") == asked.common_name)


def _review(csr: Object, subresource: str) -> Object:
    """May who asks create a certificate of this sort?"""
    spec = csr["spec"]
    attributes = {
        "group": "certificates.k8s.io",
        "resource": "certificatesigningrequests",
        "verb": "create",
        "subresource": subresource,
        "version": "*",
    }
    review: Object = {"user": spec.get("username", ""), "uid": spec.get("uid", ""), "groups": spec.get("groups") or []}
    if extra := spec.get("extra"):
        review["extra"] = extra
    return {"apiVersion": REVIEW.api_version, "kind": REVIEW.kind, "metadata": {}, "spec": {**review, "resourceAttributes": attributes}}


def _approval(csr: Object, message: str, now: datetime) -> Update:
    stamp = format_time(now)
    condition = {"type": "Approved", "status": "True", "reason": "AutoApproved", "message": message}
    condition |= {"lastUpdateTime": stamp, "lastTransitionTime": stamp}
    status = csr.get("status") or {}
    conditions = [*(status.get("conditions") or ()), condition]
    return Update(CSR, {**csr, "status": {**status, "conditions": conditions}}, subresource="approval")


DUTY = Duty(
    "certificatesigningrequest-approving-controller",
    "certificate-controller",
    WATCHES,
    reconcile,
    account="certificate-controller",
)
