"""Keeps claims that pods use, volumes that claims are bound to, and attributes classes that either names, from going before their users.

Follows upstream's pvcprotection, pvprotection and vacprotection: admission gives them a finalizer, this takes it away when nobody uses them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import is_deleting
from kubetree.controllers.plan import NOTHING, Outcome, Plan, ReadAll, Update, plan
from kubetree.controllers.runner import Duty, Key, own_key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

CLAIM, VOLUME, POD = kind("v1", "PersistentVolumeClaim"), kind("v1", "PersistentVolume"), kind("v1", "Pod")
CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
ATTRIBUTES_CLASS = kind("storage.k8s.io/v1", "VolumeAttributesClass")
ATTRIBUTES_CLASS_FINALIZER = "kubernetes.io/vac-protection"


def claims_of(pod: Object) -> list[str]:
    """Names of the claims that a pod's volumes refer to, those made for its ephemeral volumes included."""
    found = []
    for volume in pod["spec"].get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            found.append(claim["claimName"])
        elif "ephemeral" in volume:
            found.append(f"{pod['metadata']['name']}-{volume['name']}")
    return found


def uses(pod: Object, claim: str) -> bool:
    """Whether the pod holds the claim. One that is not on a node does not: no kubelet starts it once the claim is going."""
    return bool(pod["spec"].get("nodeName")) and claim in claims_of(pod)


def keys_of_pod(pod: Object, _: Snapshot) -> Iterable[Key]:
    return [(pod["metadata"]["namespace"], name) for name in claims_of(pod)]


def reconcile_claim(snapshot: Snapshot, key: Key, _: datetime) -> Plan:
    claim = snapshot.get(CLAIM, *key)
    if claim is None:
        return NOTHING
    if not is_deleting(claim):
        return _with_finalizer(claim, CLAIM_FINALIZER)
    if CLAIM_FINALIZER not in (claim["metadata"].get("finalizers") or ()):
        return NOTHING
    if any(uses(pod, key[1]) for pod in snapshot.list(POD, key[0])):
        return NOTHING

    def asked(outcome: Outcome) -> Plan:
        """The cache may be behind: the server has the last word on who uses the claim."""
        answer = outcome.results[0] if outcome.results else None
        if answer is None or any(uses(pod, key[1]) for pod in answer.get("items") or ()):
            return NOTHING
        return _without_finalizer(claim, CLAIM_FINALIZER)

    return plan(ReadAll(POD, key[0]), then=asked)


def reconcile_volume(snapshot: Snapshot, key: Key, _: datetime) -> Plan:
    volume = snapshot.get(VOLUME, *key)
    if volume is None:
        return NOTHING
    if not is_deleting(volume):
        return _with_finalizer(volume, VOLUME_FINALIZER)
    if (volume.get("status") or {}).get("phase") == "Bound":
        return NOTHING
    return _without_finalizer(volume, VOLUME_FINALIZER)


def classes_of_claim(claim: Object) -> set[str]:
    """Attributes classes that a claim asks for, has, or is being moved to."""
    status = claim.get("status") or {}
    target = (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName")
    named = (claim["spec"].get("volumeAttributesClassName"), status.get("currentVolumeAttributesClassName"), target)
    return {name for name in named if name}


def classes_of_volume(volume: Object) -> set[str]:
    name = volume["spec"].get("volumeAttributesClassName")
    return {name} if name else set()


def keys_of_deleting_classes(_: Object, snapshot: Snapshot) -> Iterable[Key]:
    """A claim or volume may have let go of any of the classes that wait for it: those few are looked at again."""
    return [("", row["metadata"]["name"]) for row in snapshot.list(ATTRIBUTES_CLASS) if is_deleting(row)]


def reconcile_class(snapshot: Snapshot, key: Key, _: datetime) -> Plan:
    row = snapshot.get(ATTRIBUTES_CLASS, *key)
    if row is None:
        return NOTHING
    if not is_deleting(row):
        return _with_finalizer(row, ATTRIBUTES_CLASS_FINALIZER)
    if any(key[1] in classes_of_volume(volume) for volume in snapshot.list(VOLUME)):
        return NOTHING
    if any(key[1] in classes_of_claim(claim) for claim in snapshot.list(CLAIM)):
        return NOTHING
    return _without_finalizer(row, ATTRIBUTES_CLASS_FINALIZER)


def _with_finalizer(obj: Object, name: str) -> Plan:
    standing = obj["metadata"].get("finalizers") or []
    return NOTHING if name in standing else _update(obj, [*standing, name])


def _without_finalizer(obj: Object, name: str) -> Plan:
    standing = obj["metadata"].get("finalizers") or []
    return _update(obj, [f for f in standing if f != name]) if name in standing else NOTHING


def _update(obj: Object, finalizers: list[str]) -> Plan:
    row = _ROWS[obj["kind"]]
    return plan(Update(row, {**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}}, ignore=frozenset({"NotFound"})))


_ROWS = {row.kind: row for row in (CLAIM, VOLUME, ATTRIBUTES_CLASS)}


def same_pod(old: Object, new: Object) -> bool:
    """Claims of a pod never change; it may be bound to a node."""
    return bool(old["spec"].get("nodeName") == new["spec"].get("nodeName"))


CLAIMS = Duty(
    "persistentvolumeclaim-protection-controller",
    "pvc-protection-controller",
    {CLAIM: own_key, POD: keys_of_pod},
    reconcile_claim,
    account="pvc-protection-controller",
    same={POD: same_pod},
)

VOLUMES = Duty(
    "persistentvolume-protection-controller",
    "pv-protection-controller",
    {VOLUME: own_key},
    reconcile_volume,
    account="pv-protection-controller",
)

ATTRIBUTES_CLASSES = Duty(
    "volumeattributesclass-protection-controller",
    "volumeattributesclass-protection-controller",
    {ATTRIBUTES_CLASS: own_key, CLAIM: keys_of_deleting_classes, VOLUME: keys_of_deleting_classes},
    reconcile_class,
    account="volumeattributesclass-protection-controller",
)
