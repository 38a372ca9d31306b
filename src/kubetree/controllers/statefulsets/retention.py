"""Whose the claims of a StatefulSet are, by its persistentVolumeClaimRetentionPolicy: owned by the set they go when it is deleted, by
their pod when the set was scaled below it, by nobody they stay. Pure."""

from __future__ import annotations

from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import owner_reference
from kubetree.controllers.statefulsets.identity import STATEFUL_SET, ordinal_of, ordinals

Object = dict[str, Any]

POD = kind("v1", "Pod")


def _policy(stateful_set: Object) -> tuple[bool, bool]:
    """(deleted with the set, deleted when scaled down)."""
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenDeleted") == "Delete", policy.get("whenScaled") == "Delete"


def _refers(reference: Object, api_version: str, name: str, owner: Object) -> bool:
    return bool(reference["apiVersion"] == api_version and reference["kind"] == name and reference["name"] == owner["metadata"]["name"])


def _is_ours(reference: Object, stateful_set: Object, pod: Object) -> bool:
    return _refers(reference, "apps/v1", "StatefulSet", stateful_set) or _refers(reference, "v1", "Pod", pod)


def is_stale(claim: Object, pod: Object) -> bool:
    """Whether the claim waits to go with an earlier pod of that name: a new one must not take it up."""
    references = claim["metadata"].get("ownerReferences") or ()
    return any(_refers(r, "v1", "Pod", pod) and r["uid"] != pod["metadata"].get("uid") for r in references)


def conflicts(claim: Object, stateful_set: Object, pod: Object) -> bool:
    """Whether somebody else controls the claim, so that the policy cannot hold."""
    if _policy(stateful_set) == (False, False):
        return False
    mine = {stateful_set["metadata"]["uid"], pod["metadata"].get("uid")}
    for reference in claim["metadata"].get("ownerReferences") or ():
        if _is_ours(reference, stateful_set, pod):
            if reference["uid"] not in mine:
                return True
        elif reference.get("controller"):
            return True
    return False


def owners(claim: Object, stateful_set: Object, pod: Object) -> list[Object]:
    """The owner references that the claim should have."""
    standing = claim["metadata"].get("ownerReferences") or []
    others = [r for r in standing if not _is_ours(r, stateful_set, pod)]
    if conflicts(claim, stateful_set, pod):
        return others
    with_set, with_scale = _policy(stateful_set)
    scaled_down = ordinal_of(pod) not in ordinals(stateful_set)
    if with_scale and scaled_down:
        return [*others, owner_reference(POD, pod, controller=True, block=True)]
    if with_set:
        return [*others, owner_reference(STATEFUL_SET, stateful_set, controller=True, block=True)]
    return others
