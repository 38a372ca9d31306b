"""Writes all objects of a resource anew, so that they are stored in the version that the server encodes now.

A StorageVersionMigration waits until it is the only one of its resource, runs from the revision that the resource has then, and ends as
Succeeded or Failed; of a custom resource the definition is told, and forgets the versions that nothing is stored in any more. Follows
pkg/controller/storageversionmigrator: an empty apply that names uid and resourceVersion has the server write an object again; a conflict says
that somebody else has done so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.objects import condition as find
from kubetree.api.objects import has_condition
from kubetree.api.times import parse_time
from kubetree.controllers.conditions import condition, without
from kubetree.controllers.plan import (
    NOTHING,
    Batch,
    Discover,
    Outcome,
    Patch,
    Plan,
    Read,
    ReadAll,
    RequeueAfter,
    StatusUpdate,
    Update,
    plan,
)
from kubetree.controllers.runner import Duty, Key
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]
MIGRATION = kind("storagemigration.k8s.io/v1beta1", "StorageVersionMigration")
DEFINITION = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
NAME, RUNNER = "storage-version-migrator-controller", "migration-runner-controller"
MIGRATING = "StorageMigrating"
NEEDED = ("update", "patch", "list")
PATIENCE = timedelta(minutes=1)
"""How long a resource may take to show in discovery."""
AGAIN, TOGETHER = 5.0, 20
_CONFLICT = frozenset({"Conflict"})
_PASSING = (errors.ServerTimeout, errors.TooManyRequests, errors.ServiceUnavailable, errors.InternalError, errors.Timeout)


def those_of_the_resource(obj: Object, snapshot: Snapshot) -> Iterable[Key]:
    """The next one may start when another ends."""
    resource = _resource(obj)
    return {("", other["metadata"]["name"]) for other in [obj, *snapshot.list(MIGRATION)] if _resource(other) == resource}


def _resource(obj: Object) -> tuple[str, str]:
    found = (obj.get("spec") or {}).get("resource") or {}
    return found.get("group") or "", found.get("resource") or ""


def _ended(obj: Object) -> bool:
    return has_condition(obj, "Succeeded") or has_condition(obj, "Failed")


def reconcile(snapshot: Snapshot, key: Key, now: datetime) -> Plan:
    obj = snapshot.get(MIGRATION, *key)
    if obj is None:
        return NOTHING
    if not has_condition(obj, "Running"):
        return NOTHING if _ended(obj) or not _is_next(snapshot, obj) else _told(obj, now, _start)
    if _ended(obj):
        return _told(obj, now, _finish)
    return plan(Discover(), then=lambda outcome: _go_on(obj, _found(obj, outcome), now) if outcome.ok else NOTHING)


def _is_next(snapshot: Snapshot, obj: Object) -> bool:
    """Whether none of the resource runs, and none that waits came earlier."""
    others = [other for other in snapshot.list(MIGRATION) if _resource(other) == _resource(obj) and not _ended(other)]
    waiting = min(others, key=lambda other: (other["metadata"]["creationTimestamp"], other["metadata"]["name"]), default=obj)
    return not any(has_condition(other, "Running") for other in others) and waiting["metadata"]["name"] == obj["metadata"]["name"]


# -- beginning and end, of which a definition is told


Step = Callable[[Object, Object | None, datetime], Plan]


def _told(obj: Object, now: datetime, step: Step) -> Plan:
    """`step` says what comes once the definition of the resource, if it has one, has been read."""
    group, resource = _resource(obj)
    if not group:
        return step(obj, None, now)
    return plan(
        Read(DEFINITION, "", f"{resource}.{group}"), then=lambda outcome: step(obj, outcome.results[0], now) if outcome.ok else NOTHING
    )


def _start(obj: Object, definition: Object | None, now: datetime) -> Plan:
    told = f"Migration {obj['metadata']['name']} is running"
    update = _with_condition(obj, condition("Running", "True", "MigrationRunning", "The migration is running", now))
    return plan([_definition_status(definition, "True", "MigrationRunning", told, now)] if definition else [], update)


def _finish(obj: Object, definition: Object | None, now: datetime) -> Plan:
    update = _with_condition(obj, condition("Running", "False", "MigrationCompleted", "Migration completed", now))
    if definition is None:
        return plan(update)
    standing = find(definition, MIGRATING)
    same = standing is not None and standing.get("observedGeneration") == definition["metadata"].get("generation")
    reason, message, stored = "MigrationFailed", "The migration has failed", None
    if has_condition(obj, "Succeeded"):
        rest = (
            "and the stored versions have been updated"
            if same
            else "but the stored versions have not been updated due to a generation mismatch"
        )
        reason, message = "MigrationSucceeded", f"The migration has succeeded {rest}"
    if same:
        stored = [version["name"] for version in definition["spec"]["versions"] if version.get("storage")]
    return plan(_definition_status(definition, "False", reason, message, now, stored), update)


def _definition_status(obj: Object, status: str, reason: str, message: str, now: datetime, stored: list[str] | None = None) -> Patch:
    metadata = obj["metadata"]
    told = {**condition(MIGRATING, status, reason, message, now), "observedGeneration": metadata.get("generation") or 0}
    applied = {
        "apiVersion": DEFINITION.api_version,
        "kind": DEFINITION.kind,
        "metadata": {"name": metadata["name"], "resourceVersion": metadata["resourceVersion"]},
        "status": {"conditions": [told]} | ({"storedVersions": stored} if stored else {}),
    }
    return Patch(DEFINITION, "", metadata["name"], applied, "apply", "status", field_manager=RUNNER, force=True)


def _with_condition(obj: Object, made: Object) -> Update:
    status = obj.get("status") or {}
    return StatusUpdate(MIGRATION, obj, {**status, "conditions": [*without(status.get("conditions"), made["type"]), made]})


def _failed(obj: Object, message: str, now: datetime) -> Plan:
    return plan(_with_condition(obj, condition("Failed", "True", "StorageVersionMigrationFailed", message, now)))


# -- what it does


def _found(obj: Object, outcome: Outcome) -> Kind | None:
    kinds: list[Kind] = (outcome.results[0] or {})["kinds"] if outcome.ok else []
    return next((row for row in kinds if (row.group, row.plural) == _resource(obj)), None)


def _go_on(obj: Object, row: Kind | None, now: datetime) -> Plan:
    revision = (obj.get("status") or {}).get("resourceVersion") or ""
    if row is None:
        if parse_time(obj["metadata"]["creationTimestamp"]) + PATIENCE > now:
            return plan(RequeueAfter(AGAIN))
        why = (
            "migration encountered unhandled error: unable to obtain GVR from discovery"
            if revision
            else "resource does not exist in discovery"
        )
        return _failed(obj, why, now)
    if not set(NEEDED) <= set(row.verbs):
        named = f"{row.group}/{row.version}, Resource={row.plural}"
        return _failed(obj, f'resource "{named}" does not support discovery operations: [{" ".join(NEEDED)}]', now)
    if not revision:
        return plan(ReadAll(row, limit=1), then=lambda outcome: _from(obj, outcome))
    return plan(ReadAll(row), then=lambda outcome: _write(obj, row, int(revision), outcome, now))


def _from(obj: Object, outcome: Outcome) -> Plan:
    listed = outcome.results[0] if outcome.ok else None
    if listed is None:
        return NOTHING
    return plan(StatusUpdate(MIGRATION, obj, {**(obj.get("status") or {}), "resourceVersion": listed["metadata"]["resourceVersion"]}))


def _write(obj: Object, row: Kind, revision: int, outcome: Outcome, now: datetime) -> Plan:
    """Objects that were written after the beginning are in the new version already."""
    listed = outcome.results[0] if outcome.ok else None
    if listed is None:
        return NOTHING
    wanted = [_again(row, each["metadata"]) for each in listed["items"] if int(each["metadata"]["resourceVersion"]) <= revision]
    batches = [Batch(tuple(wanted[i : i + TOGETHER])) for i in range(0, len(wanted), TOGETHER)]
    return plan(batches, then=lambda answers: _judged(obj, answers, now), forgive=True)


def _again(row: Kind, metadata: Object) -> Patch:
    same = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    applied = {"apiVersion": row.api_version, "kind": row.kind, "metadata": {"name": metadata["name"], **same}}
    return Patch(row, metadata.get("namespace", ""), metadata["name"], applied, "apply", ignore=_CONFLICT, field_manager=NAME)


def _judged(obj: Object, outcome: Outcome, now: datetime) -> Plan:
    lasting = [error for error in outcome.errors if not isinstance(error, _PASSING)]
    if lasting:
        return _failed(obj, f"migration encountered unhandled error: {lasting[0].message}", now)
    if outcome.errors:
        return plan(RequeueAfter(AGAIN))
    return plan(_with_condition(obj, condition("Succeeded", "True", "StorageVersionMigrationSucceeded", "", now)))


DUTY = Duty(NAME, NAME, {MIGRATION: those_of_the_resource}, reconcile, workers=5, account=NAME)
