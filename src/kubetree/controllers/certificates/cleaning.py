"""Deletes CertificateSigningRequests that nobody needs any more: decided an hour ago, forgotten for a day, or run out."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509

from kubetree.api.times import parse_time
from kubetree.controllers.certificates.requests import CSR, certificate_of
from kubetree.controllers.plan import NOTHING, Delete, Plan, RequeueAfter, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

DECIDED = timedelta(hours=1)
PENDING = timedelta(hours=24)

WATCHES = {CSR: own_key}


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    csr = snapshot.get(CSR, *key)
    if csr is None:
        return NOTHING
    due = _due(csr)
    if due > now:
        return plan(RequeueAfter((due - now).total_seconds() + 1))
    return plan(Delete(CSR, "", csr["metadata"]["name"], uid=csr["metadata"]["uid"]))


def _due(csr: Object) -> datetime:
    """When the request may go: the earliest of the reasons that apply."""
    due = [parse_time(csr["metadata"]["creationTimestamp"]) + PENDING]
    for condition in (csr.get("status") or {}).get("conditions") or ():
        if condition["type"] in ("Denied", "Failed") or (condition["type"] == "Approved" and certificate_of(csr)):
            stamp = condition.get("lastUpdateTime") or csr["metadata"]["creationTimestamp"]
            due.append(parse_time(stamp) + DECIDED)
    if issued := certificate_of(csr):
        due.append(x509.load_pem_x509_certificate(base64.b64decode(issued)).not_valid_after_utc)
    return min(due)


DUTY = Duty("certificatesigningrequest-cleaner-controller", "certificate-controller", WATCHES, reconcile, account="certificate-controller")
