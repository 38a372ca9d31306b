"""A Deployment's ReplicaSets: which is the new one, which are old, their revisions and the annotations they carry.

Follows upstream's deployment_util.go. A revision counts up with every template rolled out and lives in annotations, so that
`kubectl rollout history` and `undo` can name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import annotations as annotations_of
from kubetree.api.objects import is_deleting, labels, owner_reference
from kubetree.controllers.pod_templates import HASH_LABEL, equal_but_for_hash, template_hash

Object = dict[str, Any]

DEPLOYMENT = kind("apps/v1", "Deployment")
REPLICA_SET = kind("apps/v1", "ReplicaSet")

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
ROLLBACK_TO = "deprecated.deployment.rollback.to"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NOT_COPIED = frozenset({LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS, ROLLBACK_TO})

MAX_HISTORY = 2000
"""Characters of the revision-history annotation."""
MAX_NAME = 253


def replicas(obj: Object) -> int:
    return int(obj["spec"].get("replicas", 1))


def by_age(sets: Iterable[Object]) -> list[Object]:
    """Oldest first, by name where they are of one second."""
    return sorted(sets, key=lambda rs: (rs["metadata"].get("creationTimestamp", ""), rs["metadata"]["name"]))


def active(sets: Iterable[Object]) -> list[Object]:
    return [rs for rs in sets if replicas(rs) > 0]


def find_new(deployment: Object, sets: Iterable[Object]) -> Object | None:
    """The oldest ReplicaSet with the Deployment's template."""
    template = deployment["spec"]["template"]
    return next((rs for rs in by_age(sets) if equal_but_for_hash(rs["spec"]["template"], template)), None)


def find_old(new: Object | None, sets: Iterable[Object]) -> list[Object]:
    return [rs for rs in sets if new is None or rs["metadata"]["uid"] != new["metadata"]["uid"]]


def revision(obj: Object) -> int | None:
    """The revision annotation; 0 when there is none, None when it is no number."""
    return _integer(annotations_of(obj).get(REVISION, "0"))


def max_revision(sets: Iterable[Object]) -> int:
    return max((revision(rs) or 0 for rs in sets), default=0)


def last_revision(sets: Iterable[Object]) -> int:
    """The second highest revision, 0 when there is none."""
    ordered = sorted((value for rs in sets if (value := revision(rs)) is not None), reverse=True)
    return ordered[1] if len(ordered) > 1 else 0


def by_revision(sets: Iterable[Object]) -> list[Object]:
    return sorted(by_age(sets), key=lambda rs: revision(rs) or 0)


def count_annotation(rs: Object, name: str) -> int | None:
    """An annotation that counts replicas; None when missing or not a whole number below 2^31."""
    value = _integer(annotations_of(rs).get(name, ""))
    return value if value is not None and 0 <= value < 2**31 else None


def replica_annotations(desired: int, surge: int) -> dict[str, str]:
    return {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(desired + surge)}


def new_annotations(deployment: Object, current: dict[str, str], new_revision: int) -> dict[str, str]:
    """What the new ReplicaSet's annotations should be: the Deployment's copied, the revision raised, a revision it had remembered."""
    made = {**current, **{k: v for k, v in annotations_of(deployment).items() if k not in NOT_COPIED}}
    old = _integer(current.get(REVISION) or "0")
    if old is None or old >= new_revision:
        return made
    made[REVISION] = str(new_revision)
    if REVISION in current:
        made[REVISION_HISTORY] = _history(current.get(REVISION_HISTORY, ""), current[REVISION])
    return made


def _history(history: str, old: str) -> str:
    """The history with one revision more, without its first ones where it gets too long."""
    entries = [*history.split(","), old] if history else [old]
    while len(entries) > 1 and len(",".join(entries)) > MAX_HISTORY:
        del entries[0]
    return ",".join(entries)


def make_new(deployment: Object, count: int, surge: int, new_revision: int) -> Object:
    """The ReplicaSet for the Deployment's template, named by the template's hash."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    template = spec["template"]
    digest = template_hash(template, deployment.get("status", {}).get("collisionCount"))
    template_labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: digest}
    selector = spec.get("selector") or {}
    marked = {**new_annotations(deployment, {}, new_revision), **replica_annotations(replicas(deployment), surge)}
    made_spec: Object = {
        "replicas": count,
        "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}},
        "template": {**template, "metadata": {**(template.get("metadata") or {}), "labels": template_labels}},
    }
    if spec.get("minReadySeconds"):
        made_spec["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": REPLICA_SET.api_version,
        "kind": REPLICA_SET.kind,
        "metadata": {
            "name": f"{metadata['name'][: MAX_NAME - 1 - len(digest)]}-{digest}",
            "namespace": metadata["namespace"],
            "labels": template_labels,
            "annotations": marked,
            "ownerReferences": [owner_reference(DEPLOYMENT, deployment, controller=True, block=True)],
        },
        "spec": made_spec,
    }


def with_annotations(obj: Object, changed: dict[str, str]) -> Object:
    """A copy of the object, sharing all but its metadata, with these annotations."""
    return {**obj, "metadata": {**obj["metadata"], "annotations": changed}}


def cleanable(deployment: Object, old: Sequence[Object]) -> list[Object]:
    """Old ReplicaSets beyond the history limit that stand at nothing, oldest revision first."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None or limit == 2**31 - 1:
        return []
    alive = [rs for rs in old if not is_deleting(rs)]
    surplus = by_revision(alive)[: max(0, len(alive) - limit)]
    return [rs for rs in surplus if _empty(rs)]


def _empty(rs: Object) -> bool:
    status = rs.get("status") or {}
    observed = status.get("observedGeneration", 0) >= rs["metadata"].get("generation", 0)
    return observed and not status.get("replicas") and replicas(rs) == 0


def hash_of(rs: Object) -> str:
    return labels(rs).get(HASH_LABEL, "")


def _integer(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() else None
