"""Secrets of service accounts hold a token while the account lives."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kubetree.api.service_account_keys import SigningKey, VerificationKeys
from kubetree.controllers.plan import NOTHING, Delete, Outcome, Update
from kubetree.controllers.snapshot import ObjectSnapshot
from kubetree.controllers.token_secrets import SECRET, TYPE, TokenSecrets, secrets_of_account

Object = dict[str, Any]
PRIVATE = ec.generate_private_key(ec.SECP256R1())
DUTY = TokenSecrets(SigningKey(PRIVATE), "CA")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": "ns", "uid": "u1"}}


def secret(data: Object | None = None, type: str = TYPE, **notes: str) -> Object:
    noted = {f"kubernetes.io/service-account.{key}": value for key, value in ({"name": "robot"} | notes).items()}
    metadata = {"name": "tok", "namespace": "ns", "uid": "s1", "annotations": noted}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": type} | ({} if data is None else {"data": data})


def test_a_new_secret_is_filled() -> None:
    (update,) = DUTY.reconcile(ObjectSnapshot([secret(), ACCOUNT]), ("ns", "tok"), NOW).actions
    assert isinstance(update, Update)
    data = {key: base64.b64decode(value).decode() for key, value in update.obj["data"].items()}
    assert (data["ca.crt"], data["namespace"]) == ("CA", "ns")
    claims = VerificationKeys([PRIVATE.public_key()]).verify(data["token"])
    assert claims is not None and b'"sub":"system:serviceaccount:ns:robot"' in claims
    assert update.obj["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == "u1"
    assert DUTY.reconcile(ObjectSnapshot([update.obj, ACCOUNT]), ("ns", "tok"), NOW) == NOTHING


def test_a_token_that_is_there_stays() -> None:
    given = {"token": "eA==", "namespace": "bnM="}
    (update,) = DUTY.reconcile(ObjectSnapshot([secret(given), ACCOUNT]), ("ns", "tok"), NOW).actions
    assert isinstance(update, Update) and update.obj["data"] == given | {"ca.crt": "Q0E="}


@pytest.mark.parametrize(
    ("found", "deleted"), [(None, True), (ACCOUNT | {"metadata": ACCOUNT["metadata"] | {"uid": "other"}}, True), (ACCOUNT, False)]
)
def test_without_its_account_a_secret_goes_but_only_after_a_second_look(found: Object | None, deleted: bool) -> None:
    asked = DUTY.reconcile(ObjectSnapshot([secret(uid="u1")]), ("ns", "tok"), NOW)
    assert asked.then is not None
    (action,) = asked.then(Outcome((found,))).actions
    assert isinstance(action, Delete if deleted else Update)
    assert action == Delete(SECRET, "ns", "tok", uid="s1") or not deleted


def test_other_secrets_are_none_of_its_business() -> None:
    assert DUTY.reconcile(ObjectSnapshot([secret(type="Opaque")]), ("ns", "tok"), NOW) == NOTHING
    assert DUTY.reconcile(ObjectSnapshot([]), ("ns", "tok"), NOW) == NOTHING


def test_an_account_wakes_its_secrets() -> None:
    assert list(secrets_of_account(ACCOUNT, ObjectSnapshot([secret(), ACCOUNT]))) == [("ns", "tok")]
