"""Deletes CertificateSigningRequests that nobody needs any more: done with an hour ago, waiting for a day, or run out."""

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

_ENDS = ("Approved", "Denied", "Failed")

WATCHES = {CSR: own_key}


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    csr = snapshot.get(CSR, *key)
    if csr is None:
        return NOTHING
    due = _due(csr)
    if due is None:
        return NOTHING
    if due > now:
        return plan(RequeueAfter((due - now).total_seconds() + 1))
    return plan(Delete(CSR, "", csr["metadata"]["name"], uid=csr["metadata"]["uid"]))


def _due(csr: Object) -> datetime | None:
    """When the request may go: the earliest of the reasons that apply. None: it stays."""
    conditions, issued = (csr.get("status") or {}).get("conditions") or (), certificate_of(csr)
    if not conditions:
        return parse_time(csr["metadata"]["creationTimestamp"]) + PENDING
    due = []
    for condition in conditions:
        waits = condition["type"] == "Approved" and not issued
        if condition["type"] in _ENDS and condition.get("lastUpdateTime"):
            due.append(parse_time(condition["lastUpdateTime"]) + (PENDING if waits else DECIDED))
        if condition["type"] == "Approved" and (end := _end(issued)) is not None:
            due.append(end)
    return min(due, default=None)


def _end(issued: str) -> datetime | None:
    """Of a certificate, base64 of PEM; None where there is none that can be read."""
    try:
        return x509.load_pem_x509_certificate(base64.b64decode(issued)).not_valid_after_utc
    except ValueError:
        return None


DUTY = Duty("certificatesigningrequest-cleaner-controller", "certificate-controller", WATCHES, reconcile, account="certificate-controller")
