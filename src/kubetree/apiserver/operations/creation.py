"""Creating an object: names, identity, strategy, validation, admission, store. Follows genericregistry.Store.Create."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from kubetree.api import errors
from kubetree.api.defaults import apply_defaults
from kubetree.api.kinds import Kind
from kubetree.api.strategies import date_taint_rule, prepare_for_create
from kubetree.api.times import format_time
from kubetree.api.validation import Template, template_of, validate_create
from kubetree.api.warnings import warnings
from kubetree.apiserver.admission.request import CREATE
from kubetree.apiserver.identifiers import new_suffix
from kubetree.apiserver.operations import managers
from kubetree.apiserver.operations.managers import track_create
from kubetree.apiserver.operations.scope import Stored, WriteScope
from kubetree.apiserver.registry import Finish, Registry, Resource
from kubetree.apiserver.wire.encoding import decode, encode
from kubetree.store.protocol import Refused

NAME_ATTEMPTS = 8
_SUFFIX, _MAX_NAME = 5, 63
_SYSTEM_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def generated_name(base: str) -> str:
    """`base` and five characters that cannot form words, cut to fit 63."""
    return base[: _MAX_NAME - _SUFFIX] + new_suffix()


def check_namespace(expected: str, metadata: dict[str, Any]) -> None:
    """Fills the request's namespace in, clears it on cluster-scoped objects; raises BadRequest when the object names another."""
    given = metadata.get("namespace", "")
    if given == expected:
        return
    if not given:
        metadata["namespace"] = expected
    elif not expected:
        del metadata["namespace"]
    else:
        raise errors.BadRequest("the namespace of the provided object does not match the namespace sent on the request")


async def create(registry: Registry, resource: Resource, obj: dict[str, Any], scope: WriteScope) -> Stored:
    """`obj` is in the version of `resource.kind`; it is taken over and changed. Raises AlreadyExists, Invalid and what admission raises."""
    kind = resource.kind
    metadata: dict[str, Any] = obj.setdefault("metadata", {})
    for name in _SYSTEM_FIELDS:
        metadata.pop(name, None)
    check_namespace(scope.namespace if kind.namespaced else "", metadata)
    if not scope.defaulted:
        apply_defaults(kind, obj)
    dedup_owners(obj, scope, after_admission=False)
    now = registry.clock()
    if kind.kind == "DeviceTaintRule":  # upstream's defaults have a clock
        date_taint_rule(obj, None, format_time(now))
    obj = track_create(resource, obj, scope, now)
    if scope.admit:
        await registry.admission.admit(scope.admission(CREATE, kind, metadata.get("name", ""), obj, None))
        check_namespace(scope.namespace if kind.namespaced else "", obj["metadata"])
        dedup_owners(obj, scope, after_admission=True)
    metadata = obj["metadata"]
    if metadata.get("name") or not metadata.get("generateName"):
        return await _create_named(registry, resource, obj, scope, now)
    unnamed = orjson.dumps(obj)
    for attempt in range(NAME_ATTEMPTS):
        candidate = orjson.loads(unnamed) if attempt else obj
        candidate["metadata"]["name"] = generated_name(metadata["generateName"])
        try:
            return await _create_named(registry, resource, candidate, scope, now)
        except errors.AlreadyExists as error:
            taken = error
    raise taken


async def _create_named(registry: Registry, resource: Resource, obj: dict[str, Any], scope: WriteScope, now: datetime) -> Stored:
    hook, finish = resource.hook, None
    fill_system_fields(registry, obj, now)
    if hook is not None:
        finish = await hook.begin_create(obj, dry_run=scope.dry_run)
    committed = False
    try:
        template = await prepare_and_validate(registry, resource, obj, scope)
        stored = await _store(registry, resource, obj, scope, template)
        committed = True
        return stored
    finally:
        await finished(finish, committed)


async def finished(finish: Finish | None, committed: bool) -> None:
    if finish is not None:
        await finish(committed)


def fill_system_fields(registry: Registry, obj: dict[str, Any], now: datetime) -> None:
    metadata = obj["metadata"]
    metadata["uid"] = registry.new_uid()
    metadata["creationTimestamp"] = format_time(now)


async def prepare_and_validate(registry: Registry, resource: Resource, obj: dict[str, Any], scope: WriteScope) -> Template | None:
    """What stands between a complete new object and the store: strategy, validation, warnings, validating admission. Gives what the object
    has in common with others."""
    kind, storage = resource.kind, resource.storage
    metadata = obj["metadata"]
    prepare_for_create(storage, obj, registry.features)
    template = template_of(storage, obj)
    found = validate_create(storage, obj, template, kind, registry.features)
    if found:
        raise errors.invalid(obj.get("kind") or kind.kind, storage.group, metadata.get("name", ""), [e.to_cause() for e in found])
    scope.warnings.extend(warnings(storage, obj, None, template=template))
    if scope.admit:
        await registry.admission.validate(scope.admission(CREATE, kind, metadata["name"], obj, None))
        settle(kind, obj, scope)
    return template


def settle(kind: Kind, obj: dict[str, Any], scope: WriteScope) -> None:
    """What admission has left in a custom resource that its schema does not know goes before it is stored."""
    if scope.unsettled and kind.behaviour is not None:
        kind.behaviour.check(obj, "Ignore", ())


async def _store(registry: Registry, resource: Resource, obj: dict[str, Any], scope: WriteScope, template: Template | None) -> Stored:
    kind, metadata = resource.kind, obj["metadata"]
    if _is_revision(metadata.get("resourceVersion") or "") and not scope.dry_run:
        raise errors.BadRequest("resourceVersion should not be set on objects to be created")
    key = resource.key(metadata.get("namespace", ""), metadata["name"])
    value = encode(obj, template) if kind.behaviour is None else await managers.written(resource, obj)
    if scope.dry_run:
        current, _ = await registry.store.get(key)
        if current is None:
            return Stored(await managers.told(resource, obj, value), value, 0, created=True)
    else:
        if kind.behaviour is None:
            resource.cache.expect(key, value, metadata.get("labels") or {})
        try:
            written = await registry.store.create(key, value, ttl=resource.ttl)
        except Refused:
            if not managers.lightened(obj):
                raise
            return await _store(registry, resource, obj, scope, template)
        if written.ok:
            return Stored(await managers.told(resource, obj, value), value, written.revision, created=True)
        current = written.current
    error = errors.already_exists(kind.plural, kind.group, metadata["name"])
    if metadata.get("generateName"):
        error.message += ", the server was not able to generate a unique name for the object"
        error.retry_after = 1
    if current is not None and decode(current.value)["metadata"].get("deletionTimestamp"):
        error.message = f"object is being deleted: {error.message}"
    raise error


def _is_revision(given: str) -> bool:
    """What is no number says nothing, as upstream reads it."""
    return given.isascii() and given.isdigit() and int(given) != 0


def dedup_owners(obj: dict[str, Any], scope: WriteScope, *, after_admission: bool) -> None:
    """Owner references that stand there twice are merged, and the client is warned; of a patch only what comes out of it."""
    owners = obj["metadata"].get("ownerReferences")
    if not owners or len(owners) < 2 or (scope.patching and not after_admission):
        return
    kept: list[dict[str, Any]] = []
    dropped = []
    for owner in owners:
        if owner in kept:
            dropped.append(owner.get("uid", ""))
        else:
            kept.append(owner)
    if dropped:
        obj["metadata"]["ownerReferences"] = kept
        uids = ", ".join(dropped)
        template = _DUPLICATES_ADMITTED if after_admission else _DUPLICATES
        scope.warnings.append(template % uids)


_DUPLICATES = (
    ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests "
    "as early as 1.24; please fix your requests; duplicate UID(s) observed: %s"
)
_DUPLICATES_ADMITTED = (
    ".metadata.ownerReferences contains duplicate entries after mutating admission happens; API server dedups owner references in 1.20+, "
    "and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: %s"
)
