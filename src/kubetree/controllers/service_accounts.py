"""Gives every namespace its service account `default`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import is_deleting
from kubetree.controllers.plan import NAMESPACE_TERMINATING, NOTHING, Create, Plan, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

NAMESPACE, SERVICE_ACCOUNT = kind("v1", "Namespace"), kind("v1", "ServiceAccount")
NAMES = ("default",)


def keys_of_account(account: Object, _: Snapshot) -> Iterable[Key]:
    metadata = account["metadata"]
    return (("", metadata["namespace"]),) if metadata["name"] in NAMES else ()


WATCHES = {NAMESPACE: own_key, SERVICE_ACCOUNT: keys_of_account}


def reconcile(snapshot: Snapshot, key: Key, _: datetime) -> Plan:
    namespace = snapshot.get(NAMESPACE, *key)
    if namespace is None or is_deleting(namespace) or (namespace.get("status") or {}).get("phase") == "Terminating":
        return NOTHING
    missing = [name for name in NAMES if snapshot.get(SERVICE_ACCOUNT, key[1], name) is None]
    ignore = NAMESPACE_TERMINATING | {"AlreadyExists"}
    made = ({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": key[1]}} for name in missing)
    return plan(Create(SERVICE_ACCOUNT, account, ignore=ignore) for account in made)


DUTY = Duty("serviceaccount-controller", "serviceaccount-controller", WATCHES, reconcile, account="service-account-controller")
