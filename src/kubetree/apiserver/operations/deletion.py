"""Deleting an object: grace periods, finalizers, propagation policies, preconditions.

Follows genericregistry.Store.Delete and rest.BeforeDelete; namespaces, which die in their own way, follow their own storage.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from kubetree.api import errors
from kubetree.api.custom_resources import conditions
from kubetree.api.kinds import Kind
from kubetree.api.objects import copy
from kubetree.api.strategies import default_grace_period
from kubetree.api.times import format_time, parse_time
from kubetree.apiserver.admission.request import DELETE
from kubetree.apiserver.operations import rules
from kubetree.apiserver.operations.managers import loaded, standing, written
from kubetree.apiserver.operations.scope import Stored, WriteScope
from kubetree.apiserver.registry import Registry, Resource
from kubetree.apiserver.wire.encoding import encode
from kubetree.apiserver.wire.options import DeleteOptions

Object = dict[str, Any]
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
_OWN_DELETE = ("namespaces", _DEFINITIONS)
"""What has a way of its own to be deleted, which words preconditions in its own way."""


async def delete(registry: Registry, resource: Resource, name: str, options: DeleteOptions, scope: WriteScope) -> tuple[Stored, bool]:
    """The object as it was last, and whether it is gone (False: it waits for its grace period or its finalizers).

    Raises NotFound, Conflict (a precondition), and what admission raises.
    """
    kind = resource.kind
    namespace = scope.namespace if kind.namespaced else ""
    key = resource.key(namespace, name)
    while True:
        entry, _ = await registry.store.get(key)
        if entry is None:
            raise errors.not_found(kind.plural, kind.group, name)
        old = await standing(resource, loaded(resource, entry.value, entry.revision))
        check_preconditions(resource, name, options, old["metadata"])
        if kind.plural == "namespaces" and not kind.group:
            new = mark_namespace(old, options, registry.clock())
        elif kind.group_resource == _DEFINITIONS and not old["metadata"].get("deletionTimestamp"):
            new = mark_definition(old, registry.clock())
        else:
            new = mark(resource.storage, old, options, registry.clock())
        if new is _PENDING:
            return Stored(old, entry.value, entry.revision), False
        if scope.admit:
            request = scope.admission(DELETE, kind, name, None, old)
            await registry.admission.admit(request)
            await registry.admission.validate(request)
        if new is None:
            stored = await _remove(registry, resource, key, old, entry.revision, scope)
            if stored is not None:
                return stored, True
            continue
        value = encode(new) if resource.kind.behaviour is None else await written(resource, new)
        if scope.dry_run:
            return Stored(new, value, entry.revision), False
        result = await registry.store.update(key, value, entry.revision, ttl=resource.ttl)
        if not result.ok:
            continue
        stored = Stored(new, value, result.revision)
        if new["metadata"].get("finalizers") or new["metadata"].get("deletionGracePeriodSeconds") or _spec_finalizers(new):
            return stored, False
        if options.resource_version is not None:
            options = replace(options, resource_version=str(result.revision))
        removed = await _remove(registry, resource, key, new, result.revision, scope)
        return (removed, True) if removed is not None else (stored, False)


async def _remove(registry: Registry, resource: Resource, key: str, obj: Object, revision: int, scope: WriteScope) -> Stored | None:
    """None: the object has changed meanwhile."""
    value = encode(obj)
    if scope.dry_run:
        return Stored(obj, value, revision)
    result = await registry.store.delete(key, revision)
    if not result.ok:
        return None
    if resource.hook is not None:
        await resource.hook.after_delete(obj, dry_run=False)
    return Stored(obj, value, result.revision)


async def remove_finalized(
    registry: Registry, resource: Resource, key: str, new: Object, revision: int, scope: WriteScope
) -> Stored | None:
    """The last finalizer of a deleted object is gone: the update becomes its removal. Answers with the object of the request."""
    return await _remove(registry, resource, key, new, revision, scope)


def emptied(storage: Kind, new: Object, old: Object) -> bool:
    """Whether an update leaves an object that only waited for its finalizers."""
    before = old["metadata"]
    if new["metadata"].get("finalizers") or not before.get("deletionTimestamp") or before.get("deletionGracePeriodSeconds"):
        return False
    return not (storage.plural == "namespaces" and not storage.group and _spec_finalizers(new))


def _spec_finalizers(obj: Object) -> bool:
    return obj.get("kind") == "Namespace" and bool((obj.get("spec") or {}).get("finalizers"))


def check_preconditions(resource: Resource, name: str, options: DeleteOptions, metadata: Object) -> None:
    """Raises Conflict."""
    kind = resource.kind
    uid, revision = metadata.get("uid", ""), metadata.get("resourceVersion", "")
    if kind.group_resource in _OWN_DELETE:
        for what, wanted, found in (("UID", options.uid, uid), ("ResourceVersion", options.resource_version, revision)):
            if wanted is not None and wanted != found:
                why = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
                raise errors.conflict(kind.plural, kind.group, name, why)
        return
    group = kind.group if kind.group != "events.k8s.io" else ""
    if options.uid is not None and options.uid != uid:
        why = f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
        raise errors.conflict(kind.kind, group, name, why)
    if options.resource_version is not None and options.resource_version != revision:
        why = f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion in record ({revision}). The object might have been modified"
        raise errors.conflict(kind.kind, group, name, why)


_PENDING: Object = {}
"""Already being deleted, and this request changes nothing about it."""


def mark(storage: Kind, old: Object, options: DeleteOptions, now: datetime) -> Object | None:
    """The object as a delete leaves it: None to remove it at once, `_PENDING` to leave it, else what to write. Pure."""
    new: Object = copy(old)
    metadata = new["metadata"]
    graceful = _graceful(storage, new, options, now)
    if graceful is None:
        return _PENDING
    finalizers = _finalizers(storage, metadata, options)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    if graceful:
        return new
    if not finalizers:
        return None
    if not metadata.get("deletionTimestamp") and metadata.get("generation"):
        metadata["generation"] += 1
    standing = metadata.get("deletionTimestamp")
    if not standing or parse_time(standing) > now:
        metadata["deletionTimestamp"] = format_time(now)
    metadata["deletionGracePeriodSeconds"] = 0
    return _PENDING if new == old else new


def _graceful(storage: Kind, obj: Object, options: DeleteOptions, now: datetime) -> bool | None:
    """True: the object was given (or left with) time to end; False: it has none; None: it is ending already."""
    metadata = obj["metadata"]
    if storage.plural != "pods" or storage.group:
        return False
    wanted = options.grace_period
    if wanted is not None and wanted < 0:
        wanted = 1
    if metadata.get("deletionTimestamp"):
        standing = metadata.get("deletionGracePeriodSeconds") or 0
        if standing == 0:
            return False
        if wanted is None or wanted >= standing:
            return None
        moved = parse_time(metadata["deletionTimestamp"]) + timedelta(seconds=wanted - standing)
        if moved < now:
            moved, wanted = now, 1 if wanted else 0
        metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"] = format_time(moved), wanted
        return True
    period = default_grace_period(storage, obj, {} if wanted is None else {"gracePeriodSeconds": wanted})
    metadata["deletionTimestamp"] = format_time(now + timedelta(seconds=period))
    metadata["deletionGracePeriodSeconds"] = period
    if metadata.get("generation"):
        metadata["generation"] += 1
    return True


def _finalizers(storage: Kind, metadata: Object, options: DeleteOptions) -> list[str]:
    standing: list[str] = metadata.get("finalizers") or []
    if not rules.collected(storage):
        return standing
    kept = [f for f in standing if f not in (ORPHAN, FOREGROUND)]
    policy = _policy(storage, standing, options)
    return [*kept, policy] if policy else kept


def _policy(storage: Kind, standing: list[str], options: DeleteOptions) -> str:
    """Which of the garbage collector's finalizers the object shall carry, '' for none."""
    if options.orphan is not None:
        return ORPHAN if options.orphan else ""
    if options.policy is not None:
        return {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(options.policy, "")
    for finalizer in standing:
        if finalizer in (ORPHAN, FOREGROUND):
            return finalizer
    return ORPHAN if rules.orphans_by_default(storage) else ""


def mark_definition(old: Object, now: datetime) -> Object:
    """The first delete of a CustomResourceDefinition, whatever its options, only starts its end: its objects go first."""
    new: Object = copy(old)
    conditions.mark_deleted(new, format_time(now))
    return new


def mark_namespace(old: Object, options: DeleteOptions, now: datetime) -> Object | None:
    """The first delete starts termination; the last, with nothing left to finalize, removes it."""
    if old["metadata"].get("deletionTimestamp"):
        if (old.get("spec") or {}).get("finalizers"):
            return _PENDING
        return mark(_NAMESPACES, old, options, now)
    new: Object = copy(old)
    metadata = new["metadata"]
    metadata["deletionTimestamp"] = format_time(now)
    new.setdefault("status", {})["phase"] = "Terminating"
    standing = metadata.get("finalizers") or []
    wanted = {ORPHAN: ORPHAN in standing, FOREGROUND: FOREGROUND in standing}
    if options.orphan is not None:
        wanted = {ORPHAN: options.orphan, FOREGROUND: not options.orphan}
    elif options.policy is not None:
        wanted = {ORPHAN: options.policy == "Orphan", FOREGROUND: options.policy == "Foreground"}
    finalizers = [f for f in standing if wanted.get(f, True)] + [f for f, on in wanted.items() if on and f not in standing]
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    return new


_NAMESPACES = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
