"""Publishes the CA of the API server in every namespace, where pods mount it: ConfigMap `kube-root-ca.crt`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import is_deleting
from kubetree.controllers.plan import NAMESPACE_TERMINATING, NOTHING, Create, Plan, Update, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

NAMESPACE, CONFIG_MAP = kind("v1", "Namespace"), kind("v1", "ConfigMap")
NAME = "kube-root-ca.crt"
DESCRIPTION = "The CA certificates that verify the API server at its addresses inside the cluster, and nothing else."


def keys_of_config_map(config_map: Object, _: Snapshot) -> Iterable[Key]:
    metadata = config_map["metadata"]
    return (("", metadata["namespace"]),) if metadata["name"] == NAME else ()


WATCHES = {NAMESPACE: own_key, CONFIG_MAP: keys_of_config_map}


@dataclass(frozen=True, slots=True)
class RootCA:
    """`certificates` is the PEM bundle."""

    certificates: str

    def reconcile(self, snapshot: Snapshot, key: Key, _: datetime) -> Plan:
        namespace = snapshot.get(NAMESPACE, *key)
        if namespace is None or is_deleting(namespace) or (namespace.get("status") or {}).get("phase") == "Terminating":
            return NOTHING
        wanted = {"ca.crt": self.certificates}
        current = snapshot.get(CONFIG_MAP, key[1], NAME)
        if current is None:
            metadata = {"name": NAME, "namespace": key[1], "annotations": {"kubernetes.io/description": DESCRIPTION}}
            made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": wanted}
            return plan(Create(CONFIG_MAP, made, ignore=NAMESPACE_TERMINATING | {"AlreadyExists"}))
        if current.get("data") == wanted:
            return NOTHING
        return plan(Update(CONFIG_MAP, {**current, "data": wanted}))


def duty(certificates: str) -> Duty:
    name = "root-ca-certificate-publisher-controller"
    return Duty(name, name, WATCHES, RootCA(certificates).reconcile, account="root-ca-cert-publisher")
