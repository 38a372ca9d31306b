"""Keeps a token in every secret of type kubernetes.io/service-account-token, and no such secret without its service account.

Follows pkg/controller/serviceaccount/tokens_controller.go. Such tokens do not end; new clients ask the TokenRequest API instead.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import annotations as notes_of
from kubetree.api.objects import is_deleting
from kubetree.api.service_account_keys import SigningKey, legacy_token
from kubetree.controllers.plan import NOTHING, Batch, Delete, Outcome, Plan, Read, Update, plan
from kubetree.controllers.runner import Duty, Key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

SECRET, SERVICE_ACCOUNT = kind("v1", "Secret"), kind("v1", "ServiceAccount")
TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME, ACCOUNT_UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"


def own_secret(secret: Object, _: Snapshot) -> Iterable[Key]:
    if secret.get("type") != TYPE:
        return ()
    return ((secret["metadata"]["namespace"], secret["metadata"]["name"]),)


def secrets_of_account(account: Object, snapshot: Snapshot) -> Iterable[Key]:
    metadata = account["metadata"]
    found = (s for s in snapshot.list(SECRET, metadata["namespace"]) if s.get("type") == TYPE)
    return [(metadata["namespace"], s["metadata"]["name"]) for s in found if notes_of(s).get(ACCOUNT_NAME) == metadata["name"]]


WATCHES = {SECRET: own_secret, SERVICE_ACCOUNT: secrets_of_account}


@dataclass(frozen=True, slots=True)
class TokenSecrets:
    """`root_ca` is the PEM bundle that goes with the token; "" for none."""

    key: SigningKey
    root_ca: str

    def reconcile(self, snapshot: Snapshot, key: Key, _: datetime) -> Plan:
        secret = snapshot.get(SECRET, *key)
        if secret is None or secret.get("type") != TYPE or is_deleting(secret):
            return NOTHING
        name = notes_of(secret).get(ACCOUNT_NAME, "")
        if not name:
            return NOTHING
        account = snapshot.get(SERVICE_ACCOUNT, key[0], name)
        if account is not None and _belongs(secret, account):
            return self._filled(secret, account)
        return plan(Batch((Read(SERVICE_ACCOUNT, key[0], name),)), then=lambda outcome: self._judged(secret, outcome))

    def _judged(self, secret: Object, outcome: Outcome) -> Plan:
        """The account as it is now, since the cache may not have seen it yet."""
        if not outcome.ok:
            return NOTHING
        account = outcome.results[-1] if outcome.results else None
        if account is not None and _belongs(secret, account):
            return self._filled(secret, account)
        metadata = secret["metadata"]
        return plan(Delete(SECRET, metadata["namespace"], metadata["name"], uid=metadata["uid"]))

    def _filled(self, secret: Object, account: Object) -> Plan:
        namespace = secret["metadata"]["namespace"]
        data = dict(secret.get("data") or {})
        if self.root_ca:
            data["ca.crt"] = _encoded(self.root_ca)
        data["namespace"] = data.get("namespace") or _encoded(namespace)
        data["token"] = data.get("token") or _encoded(legacy_token(self.key, account, secret))
        if data == secret.get("data"):
            return NOTHING
        noted = notes_of(secret) | {ACCOUNT_NAME: account["metadata"]["name"], ACCOUNT_UID: account["metadata"]["uid"]}
        metadata = {**secret["metadata"], "annotations": noted}
        return plan(Update(SECRET, {**secret, "metadata": metadata, "data": data}, ignore=frozenset({"NotFound", "Conflict"})))


def _belongs(secret: Object, account: Object) -> bool:
    uid = str(account["metadata"]["uid"])
    return notes_of(secret).get(ACCOUNT_UID, uid) == uid


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def duty(key: bytes, root_ca: str) -> Duty:
    """`key` is PEM. Raises ValueError for what is no RSA or ECDSA key."""
    name = "serviceaccount-token-controller"
    return Duty(name, name, WATCHES, TokenSecrets(SigningKey.from_pem(key), root_ca).reconcile)
