"""Checks the types of each ValidatingAdmissionPolicy's expressions once a generation, and writes down what to beware of.

Follows pkg/controller/validatingadmissionpolicystatus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from kubetree.api.cel import Type
from kubetree.api.cel.kind_types import kind_type
from kubetree.api.cel.schemas import schema_type
from kubetree.api.kind_table import every_kind, kind
from kubetree.api.policy_expressions.type_checking import Named, check_types
from kubetree.controllers.plan import NOTHING, Patch, Plan, plan
from kubetree.controllers.runner import Duty, Key, nothing, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]
POLICY = kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy")
DEFINITION = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
NAME = "validatingadmissionpolicy-status-controller"
_KINDS = every_kind()

WATCHES = {POLICY: own_key, DEFINITION: nothing}


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    policy = snapshot.get(POLICY, *key)
    if policy is None:
        return NOTHING
    generation = policy["metadata"].get("generation", 0)
    if generation <= (policy.get("status") or {}).get("observedGeneration", 0):
        return NOTHING
    warnings = check_types(
        policy, lambda group, version, resource: list(_kinds(snapshot, group, version, resource)), lambda named: _type(snapshot, named)
    )
    checked: Object = {"expressionWarnings": warnings} if warnings else {}
    applied = {
        "apiVersion": POLICY.api_version,
        "kind": POLICY.kind,
        "metadata": {"name": policy["metadata"]["name"]},
        "status": {"observedGeneration": generation, "typeChecking": checked},
    }
    return plan(Patch(POLICY, "", key[1], applied, "apply", "status", field_manager=NAME, force=True))


def _kinds(snapshot: Snapshot, group: str, version: str, resource: str) -> Iterator[Named]:
    """As a RESTMapper resolves a resource: no group means any."""
    for row in _KINDS:
        if row.version == version and resource in (row.plural, row.singular_name) and group in ("", row.group):
            yield Named(row.group, row.version, row.kind)
    for definition, served in _served(snapshot):
        spec = definition["spec"]
        names = spec["names"]
        if served["name"] == version and resource in (names["plural"], names.get("singular")) and group in ("", spec["group"]):
            yield Named(spec["group"], version, names["kind"])


def _served(snapshot: Snapshot) -> Iterable[tuple[Object, Object]]:
    for definition in snapshot.list(DEFINITION):
        for version in definition["spec"].get("versions") or ():
            if version.get("served"):
                yield definition, version


def _type(snapshot: Snapshot, named: Named) -> Type | None:
    row = _KINDS.by_kind(f"{named.group}/{named.version}" if named.group else named.version, named.kind)
    if row is not None:
        return kind_type(row)
    for definition, served in _served(snapshot):
        spec = definition["spec"]
        if Named(spec["group"], served["name"], spec["names"]["kind"]) == named:
            schema = (served.get("schema") or {}).get("openAPIV3Schema")
            return schema_type(schema, resource_root=True, name=named.kind) if schema else None
    return None


DUTY = Duty(NAME, NAME, WATCHES, reconcile, account=NAME)
