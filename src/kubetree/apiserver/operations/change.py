"""Changing an object: read, transform, check, compare-and-swap, again when another came between.

Follows genericregistry.Store.Update over storage.GuaranteedUpdate: the first try starts from the watch cache; a failure, and that there
was nothing to change, are believed once the store is seen to have the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from kubetree.api import errors
from kubetree.api.errors import Cause
from kubetree.api.strategies import allow_create_on_update, allow_unconditional_update, prepare_for_update
from kubetree.api.times import format_time
from kubetree.api.validation import validate_update
from kubetree.api.warnings import warnings
from kubetree.apiserver.admission.request import CREATE, UPDATE
from kubetree.apiserver.authorization.attributes import Attributes, Decision, settled
from kubetree.apiserver.authorization.forbidden import forbidden_by
from kubetree.apiserver.operations import creation, deletion
from kubetree.apiserver.operations.managers import (
    lightened,
    loaded,
    standing,
    stored_version,
    told,
    track_change,
    track_create,
    without_manager_times,
    written,
)
from kubetree.apiserver.operations.scope import Stored, WriteScope
from kubetree.apiserver.registry import Registry, Resource
from kubetree.apiserver.watch_cache import Cached
from kubetree.apiserver.wire.encoding import decode, encode
from kubetree.store.protocol import Entry, Refused, Written

Object = dict[str, Any]
Transform = Callable[[Object | None], Awaitable[Object]]
"""From the object as it stands, in the storage version (None: there is none; never changed), to the new one in the request's version,
an object of its own. Called again on every retry."""


_DATED = frozenset({"ResourceSlice", "DeviceTaintRule"})
"""Kinds in which the server dates taints on updates."""


async def update(
    registry: Registry,
    resource: Resource,
    name: str,
    transform: Transform,
    scope: WriteScope,
    *,
    allow_create: bool = False,
    tracked: bool = False,
    trusted: bool = False,
    uid: str = "",
    replacing: bool = True,
) -> Stored:
    """`tracked`: the transform has set managedFields itself (server-side apply). `trusted`: what it makes needs no strategy and no
    validation (bindings). `uid`: a precondition on the object. `replacing`: so is the uid in what the transform gives, which otherwise may
    not change.

    Raises NotFound, Conflict, Invalid, what admission and the transform raise.
    """
    namespace = scope.namespace if resource.kind.namespaced else ""
    key = resource.key(namespace, name)
    start = await _start(registry, resource, key)
    doubtful: Stored | errors.ApiError | None = None
    attempt: _Attempt | None = None
    if start is not None:
        attempt = _Attempt(registry, resource, key, name, scope, tracked, trusted, uid, replacing)
        try:
            old = start.obj if resource.kind.behaviour is None else await standing(resource, start.obj)
            doubtful = await attempt.change(old, start.revision, transform)
        except errors.ApiError as error:
            doubtful = error
        if isinstance(doubtful, Stored) and not doubtful.unchanged:
            return doubtful
    entry = await _standing_entry(registry, key, attempt)
    if doubtful is not None and start is not None and entry is not None and entry.revision == start.revision:
        if isinstance(doubtful, errors.ApiError):
            raise doubtful
        if not entry.stale and not is_stale(resource, entry.value):
            return doubtful
    while True:
        attempt = _Attempt(registry, resource, key, name, scope, tracked, trusted, uid, replacing)
        if entry is None:
            creating = allow_create_on_update(resource.kind) or allow_create
            if scope.subresource or not creating:
                raise errors.not_found(resource.kind.plural, resource.kind.group, name)
            stored = await attempt.create(transform)
        else:
            old = await standing(resource, loaded(resource, entry.value, entry.revision))
            stale = entry.stale or is_stale(resource, entry.value)
            stored = await attempt.change(old, entry.revision, transform, stale=stale)
        if stored is not None:
            return stored
        entry = await _standing_entry(registry, key, attempt)


async def _standing_entry(registry: Registry, key: str, attempt: _Attempt | None) -> Entry | None:
    """What the store has: who lost a write was told so, unless it is being written again."""
    if key in registry.underway:
        await registry.underway.settled(key)
    elif attempt is not None and attempt.lost is not None:
        return attempt.lost.current
    return (await registry.store.get(key))[0]


async def _start(registry: Registry, resource: Resource, key: str) -> Cached | _Written | None:
    """What a first attempt starts from: what another request has just written, or what the cache has."""
    written = await registry.underway.settled(key) if key in registry.underway else None
    cached = resource.cache.get(key)
    if written is None or (cached is not None and cached.revision >= written[1]):
        return cached
    return _Written(loaded(resource, *written), written[1])


class _Written(NamedTuple):
    obj: Object
    revision: int


def is_stale(resource: Resource, value: bytes) -> bool:
    """Whether a custom resource is stored in a version that is no longer the one to store it in: any write brings it over."""
    kind = resource.kind
    return kind.behaviour is not None and decode(value).get("apiVersion") != kind.stored_as


class _Attempt:
    """One turn of the loop."""

    def __init__(
        self,
        registry: Registry,
        resource: Resource,
        key: str,
        name: str,
        scope: WriteScope,
        tracked: bool,
        trusted: bool,
        uid: str,
        replacing: bool,
    ) -> None:
        self.registry, self.resource, self.key, self.name, self.scope = registry, resource, key, name, scope
        self.tracked, self.trusted, self.uid, self.replacing = tracked, trusted, uid, replacing
        self.lost: Written | None = None

    async def create(self, transform: Transform) -> Stored | None:
        """None: another created it meanwhile."""
        registry, resource, scope = self.registry, self.resource, self.scope
        obj = await transform(None)
        if obj["metadata"].get("uid"):
            why = f"uid mismatch: the provided object specified uid {obj['metadata']['uid']}, and no existing object was found"
            raise errors.conflict(resource.kind.plural, resource.kind.group, self.name, why)
        await self._authorize_create()
        creation.check_namespace(scope.namespace if resource.kind.namespaced else "", obj["metadata"])
        creation.dedup_owners(obj, scope, after_admission=False)
        obj = stored_version(resource, obj) if self.tracked else track_create(resource, obj, scope, registry.clock())
        if scope.admit:
            await registry.admission.admit(scope.admission(CREATE, resource.kind, self.name, obj, None))
            creation.dedup_owners(obj, scope, after_admission=True)
        creation.fill_system_fields(registry, obj, registry.clock())
        obj["metadata"].pop("resourceVersion", None)
        hook = resource.hook
        finish = await hook.begin_create(obj, dry_run=scope.dry_run) if hook is not None else None
        committed = False
        try:
            await creation.prepare_and_validate(registry, resource, obj, scope)
            value = await self._encoded(obj)
            if scope.dry_run:
                return Stored(await told(resource, obj, value), value, 0, created=True)
            try:
                result = await registry.store.create(self.key, value, ttl=resource.ttl)
            except Refused:
                if self.tracked or not lightened(obj):
                    raise
                value = await self._encoded(obj)
                result = await registry.store.create(self.key, value, ttl=resource.ttl)
            committed = result.ok
            self.lost = None if committed else result
            return Stored(await told(self.resource, obj, value), value, result.revision, created=True) if committed else None
        finally:
            await creation.finished(finish, committed)

    async def _authorize_create(self) -> None:
        kind, scope = self.resource.kind, self.scope
        if not scope.admit:
            return
        attributes = Attributes(
            scope.user, "create", "", kind.group, kind.version, kind.plural, scope.subresource, scope.namespace, self.name
        )
        answer = await settled(partial(self.registry.authorizer.authorize, attributes))
        if answer.decision is not Decision.ALLOW:
            raise forbidden_by(attributes, answer.reason)

    async def change(self, old: Object, revision: int, transform: Transform, *, stale: bool = False) -> Stored | None:
        """None: `old` was not what the store has. `stale`: what is stored is in another form than it would be now, so that it is written although nothing changes."""
        registry, resource, scope = self.registry, self.resource, self.scope
        kind, storage = resource.kind, resource.storage
        new = await transform(old)
        metadata, before = new["metadata"], old["metadata"]
        self._check_uid(metadata, before)
        creation.dedup_owners(new, scope, after_admission=False)
        if not self.tracked:
            new = track_change(resource, new, old, scope, registry.clock())
        else:
            new = stored_version(resource, new)
        metadata = new["metadata"]
        if scope.admit:
            await registry.admission.admit(scope.admission(UPDATE, kind, self.name, new, old))
            metadata = new["metadata"]
            creation.dedup_owners(new, scope, after_admission=True)
        self._check_revision(metadata, revision)
        hook = resource.hook if not scope.subresource else None
        finish = await hook.begin_update(new, old, dry_run=scope.dry_run) if hook is not None else None
        committed = False
        try:
            keep_system_fields(metadata, before)
            if not self.trusted:
                self._prepare_and_validate(new, old)
            if scope.admit:
                await registry.admission.validate(scope.admission(UPDATE, kind, self.name, new, old))
                creation.settle(kind, new, scope)
            if deletion.emptied(storage, new, old):
                stored = await deletion.remove_finalized(registry, resource, self.key, new, revision, scope)
                committed = stored is not None
                return stored
            if not stale and same_but_for_manager_times(new, old):
                return Stored(old, encode(old), revision, unchanged=True)
            if scope.dry_run:
                value = await self._encoded(new)
                return Stored(await told(resource, new, value), value, revision)
            try:
                value, result = await self._write(new, revision)
            except Refused:
                if self.tracked or not lightened(new):
                    raise
                value, result = await self._write(new, revision)
            committed = result.ok
            self.lost = None if committed else result
            return Stored(await told(resource, new, value), value, result.revision) if committed else None
        finally:
            await creation.finished(finish, committed)

    async def _encoded(self, obj: Object) -> bytes:
        return encode(obj) if self.resource.kind.behaviour is None else await written(self.resource, obj)

    async def _write(self, new: Object, revision: int) -> tuple[bytes, Written]:
        """What was written, and how that went. Raises Refused."""
        registry, resource = self.registry, self.resource
        value = await self._encoded(new)
        if resource.kind.behaviour is None:
            resource.cache.expect(self.key, value, new["metadata"].get("labels") or {})
        writing = registry.store.update(self.key, value, revision, ttl=resource.ttl)
        return value, await registry.underway.write(self.key, value, writing)

    def _prepare_and_validate(self, new: Object, old: Object) -> None:
        kind, storage, scope = self.resource.kind, self.resource.storage, self.scope
        dated = format_time(self.registry.clock()) if scope.subresource or kind.kind in _DATED else ""
        prepare_for_update(storage, new, old, scope.subresource, now=dated, features=self.registry.features)
        found = validate_update(storage, new, old, scope.subresource, kind, self.registry.features)
        if storage.behaviour is not None:
            scope.warnings.extend(storage.behaviour.ratcheted())
        if found:
            raise errors.invalid(new.get("kind") or kind.kind, storage.group, self.name, [e.to_cause() for e in found])
        scope.warnings.extend(warnings(storage, new, old, scope.subresource))

    def _check_uid(self, metadata: Object, before: Object) -> None:
        wanted = (self.replacing and metadata.get("uid")) or self.uid
        if wanted and wanted != before.get("uid"):
            raise precondition_failed(self.resource, self.key, self.name, "UID", wanted, before.get("uid", ""))

    def _check_revision(self, metadata: Object, revision: int) -> None:
        kind, given = self.resource.kind, metadata.get("resourceVersion", "")
        if given in ("", "0"):
            if allow_unconditional_update(kind) or not self.scope.admit:
                metadata["resourceVersion"] = str(revision)
                return
            detail = "Invalid value: 0: must be specified for an update"
            cause = Cause("FieldValueInvalid", detail, "metadata.resourceVersion")
            raise errors.invalid(kind.plural, kind.group, self.name, [cause])
        if not given.isdigit():
            detail = f'strconv.ParseUint: parsing "{given}": invalid syntax'
            raise errors.BadRequest(f'resourceVersion: Invalid value: "{given}": {detail}')
        if int(given) != revision:
            raise errors.conflict(kind.plural, kind.group, self.name, errors.MODIFIED)


def precondition_failed(resource: Resource, key: str, name: str, what: str, wanted: str, found: str) -> errors.Conflict:
    """A uid or resourceVersion precondition that does not hold, worded as upstream's storage layer does."""
    why = (
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
    )
    return errors.conflict(resource.kind.plural, resource.kind.group, name, why)


def keep_system_fields(metadata: Object, before: Object) -> None:
    """What no update changes: identity (unless it says another, which is refused), creation time, generation, deletion."""
    if not metadata.get("uid"):
        metadata.pop("uid", None)
        if before.get("uid"):
            metadata["uid"] = before["uid"]
    if "generation" in before:
        metadata["generation"] = before["generation"]
    else:
        metadata.pop("generation", None)
    if before.get("creationTimestamp"):
        metadata["creationTimestamp"] = before["creationTimestamp"]
    if before.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = before["deletionTimestamp"]
        if metadata.get("deletionGracePeriodSeconds") is None and "deletionGracePeriodSeconds" in before:
            metadata["deletionGracePeriodSeconds"] = before["deletionGracePeriodSeconds"]


def same_but_for_manager_times(new: Object, old: Object) -> bool:
    """Whether a write would change nothing but the times of managedFields."""
    if len(new) != len(old) or new.get("spec") != old.get("spec") or new.get("status") != old.get("status"):
        return False
    return without_manager_times(new) == without_manager_times(old)
