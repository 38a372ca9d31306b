"""ControllerRevisions: the templates that a DaemonSet or StatefulSet has had, kept as patches so that one can go back to them.

Follows upstream's controller/history and daemon/update.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.objects import annotations as annotations_of
from kubetree.api.objects import labels, owner_reference, semantic_equal
from kubetree.controllers.plan import NAMESPACE_TERMINATING, NOTHING, Create, Outcome, Plan, Read, RequeueAfter, StatusUpdate, plan
from kubetree.controllers.pod_templates import template_hash

Object = dict[str, Any]

REVISION = kind("apps/v1", "ControllerRevision")
HASH = "controller-revision-hash"
CACHE_BEHIND = 0.05
"""Seconds after which a revision that exists should be in the cache."""


def patch_of(owner: Object) -> Object:
    """What a revision keeps: a strategic merge patch that puts the template back whole."""
    return {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}


def matches(owner: Object, revision: Object) -> bool:
    """Whether the revision is the owner's template as it stands."""
    return semantic_equal(revision.get("data"), patch_of(owner))


def hash_of(revision: Object) -> str:
    return str(labels(revision).get(HASH, revision["metadata"]["name"]))


def number(revision: Object) -> int:
    return int(revision.get("revision", 0))


@dataclass(frozen=True, slots=True)
class History:
    """`current` are the revisions of the template as it stands (more than one only after a mishap), `old` the others, oldest first."""

    current: Sequence[Object]
    old: Sequence[Object]

    @classmethod
    def of(cls, owner: Object, revisions: Iterable[Object]) -> History:
        ordered = sorted(revisions, key=number)
        return cls([r for r in ordered if matches(owner, r)], [r for r in ordered if not matches(owner, r)])

    @property
    def next(self) -> int:
        """The number that the current revision should have: one more than any old one."""
        return max((number(r) for r in self.old), default=0) + 1

    def surplus(self, limit: int, in_use: Iterable[str]) -> list[Object]:
        """Old revisions beyond the limit whose hash no pod has."""
        used = set(in_use)
        count = len(self.old) - limit
        return [r for r in self.old if hash_of(r) not in used][: max(0, count)]


def make(owner_kind: Kind, owner: Object, revision: int, *, label: str = HASH) -> Object:
    """The revision of the owner's template, named by its hash, which stands in `label` too."""
    template = owner["spec"]["template"]
    digest = template_hash(template, (owner.get("status") or {}).get("collisionCount"))
    metadata = owner["metadata"]
    made: Object = {
        "name": f"{metadata['name']}-{digest}",
        "namespace": metadata["namespace"],
        "labels": {**((template.get("metadata") or {}).get("labels") or {}), label: digest},
        "ownerReferences": [owner_reference(owner_kind, owner, controller=True, block=True)],
    }
    if notes := annotations_of(owner):
        made["annotations"] = dict(notes)
    return {
        "apiVersion": REVISION.api_version,
        "kind": REVISION.kind,
        "metadata": made,
        "data": patch_of(owner),
        "revision": revision,
    }


def create(owner_kind: Kind, owner: Object, made: Object) -> Plan:
    """Creates the revision. Its name may be taken: by ours that the cache does not show yet, or by another template of the same hash,
    which the owner's collisionCount then tells apart."""
    name = made["metadata"]["name"]

    def taken(outcome: Outcome) -> Plan:
        if not outcome.ok or outcome.results != (None,):
            return NOTHING
        return plan(Read(REVISION, owner["metadata"]["namespace"], name), then=look)

    def look(outcome: Outcome) -> Plan:
        standing = outcome.results[0] if outcome.results else None
        if standing is None:
            return NOTHING
        if matches(owner, standing):
            return plan(RequeueAfter(CACHE_BEHIND))
        status = owner.get("status") or {}
        return plan(StatusUpdate(owner_kind, owner, {**status, "collisionCount": status.get("collisionCount", 0) + 1}))

    return plan(Create(REVISION, made, ignore=frozenset({"AlreadyExists"}) | NAMESPACE_TERMINATING), then=taken)
