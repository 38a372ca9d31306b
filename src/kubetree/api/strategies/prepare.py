"""Prepares an object for storing: what the client may not decide is reset or carried over."""

from __future__ import annotations

from typing import Any

import orjson

from kubetree.api.feature_gates import DEFAULT_FEATURES, Features
from kubetree.api.kinds import Kind
from kubetree.api.strategies.disabled_fields import drop_disabled
from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.strategies.hooks import date_taint_rule, date_taints, restore
from kubetree.api.strategies.pods import only_ephemeral_containers, only_resources
from kubetree.api.strategies.rows import is_custom, row

Object = dict[str, Any]


def _at(obj: Object, path: str) -> Any:
    if path == "metadata.annotations" or path == "metadata.labels":
        return obj["metadata"].get(path[9:])
    return obj.get(path)


def prepare_for_create(kind: Kind, obj: Object, features: Features = DEFAULT_FEATURES) -> None:
    """In place, after defaulting. `metadata.uid` and `creationTimestamp` must be set already."""
    metadata = obj["metadata"]
    metadata.pop("deletionTimestamp", None)
    metadata.pop("deletionGracePeriodSeconds", None)
    if is_custom(kind):
        metadata["generation"] = 1
        if kind.subresource("status") is not None:
            obj.pop("status", None)
        return
    strategy = row(kind)
    if strategy.status is not None:
        obj["status"] = {k: v.copy() if isinstance(v, dict | list) else v for k, v in strategy.status.items()}
    drop_disabled(kind.api_version, kind.kind, obj, None, features)
    if strategy.generation and strategy.starts_at:
        metadata["generation"] = strategy.starts_at
    if strategy.create is not None:
        strategy.create(obj)


_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "generateName", "selfLink")
_KEPT_BY_STATUS = ("deletionTimestamp", "generation", "selfLink", "labels", "annotations", "finalizers", "ownerReferences")


def _system_metadata(new: Object, old: Object) -> None:
    """A client may leave out what it cannot change; a creation time and a deletion are the server's anyway."""
    if not new.get("uid") and "uid" in old:
        new["uid"] = old["uid"]
    restore(new, old, "generation")
    if "creationTimestamp" in old:
        new["creationTimestamp"] = old["creationTimestamp"]
    if old.get("deletionTimestamp"):
        new["deletionTimestamp"] = old["deletionTimestamp"]
    if old.get("deletionGracePeriodSeconds") is not None and new.get("deletionGracePeriodSeconds") is None:
        new["deletionGracePeriodSeconds"] = old["deletionGracePeriodSeconds"]


def _alike(a: Any, b: Any) -> bool:
    """Of custom resources nothing is known: an empty list is something, and true is not 1."""
    return bool(a == b) and orjson.dumps(a, option=orjson.OPT_SORT_KEYS) == orjson.dumps(b, option=orjson.OPT_SORT_KEYS)


def _bump(new: Object, old: Object) -> None:
    new["metadata"]["generation"] = (old["metadata"].get("generation") or 0) + 1


def _phase_time(new: Object, old: Object, now: str) -> None:
    """A persistent volume's change of phase is dated by the server unless the writer dates it."""
    status, before = new.get("status") or {}, old.get("status") or {}
    written = status.get("lastPhaseTransitionTime")
    if now and status.get("phase") != before.get("phase") and written in (None, before.get("lastPhaseTransitionTime")):
        status["lastPhaseTransitionTime"] = now


def _condition_times(new: Object, now: str) -> None:
    """Conditions of certificate signing requests are dated by the server."""
    for condition in (new.get("status") or {}).get("conditions") or ():
        for name in ("lastUpdateTime", "lastTransitionTime"):
            if now and condition.get(name) is None:
                condition[name] = now


def _status_only(kind: Kind, new: Object, old: Object) -> None:
    """The status subresource: spec (and every other part but metadata) is the old one."""
    if is_custom(kind):
        for name in (new.keys() | old.keys()) - {"apiVersion", "kind", "metadata", "status"}:
            restore(new, old, name)
        keeps, hook = True, None
    else:
        strategy = row(kind)
        restore(new, old, "spec")
        keeps, hook = strategy.status_keeps_metadata, strategy.status_update
    if keeps:
        for name in _KEPT_BY_STATUS:
            restore(new["metadata"], old["metadata"], name)
    if hook is not None:
        hook(new, old)


def prepare_for_update(
    kind: Kind, new: Object, old: Object, subresource: str = "", *, now: str = "", features: Features = DEFAULT_FEATURES
) -> None:
    """In place on `new`, after defaulting, before validation. `subresource` is '', status, finalize, ephemeralcontainers, resize or approval.

    `now` (RFC 3339) dates what the server dates itself; without it those fields are left as they are.
    """
    _system_metadata(new["metadata"], old["metadata"])
    if subresource == "status":
        _status_only(kind, new, old)
        if kind.kind == "PersistentVolume":
            _phase_time(new, old, now)
        elif kind.kind == "CertificateSigningRequest":
            _condition_times(new, now)
        return
    if subresource == "finalize":
        restore(new, old, "status")
        return
    if subresource == "approval":
        conditions = (new.get("status") or {}).get("conditions")
        restore(new, old, "spec")
        new["status"] = {**(old.get("status") or {}), "conditions": conditions or []}
        _condition_times(new, now)
        return
    if subresource in ("ephemeralcontainers", "resize"):
        (only_ephemeral_containers if subresource == "ephemeralcontainers" else only_resources)(new, old)
        for name in _KEPT_BY_STATUS:
            restore(new["metadata"], old["metadata"], name)
    if is_custom(kind):
        if kind.subresource("status") is not None:
            restore(new, old, "status")
        ignored = {"metadata", "status"} if kind.subresource("status") is not None else {"metadata"}
        names = (new.keys() | old.keys()) - ignored
        if not all(_alike(new.get(n), old.get(n)) for n in names):
            _bump(new, old)
        return
    strategy = row(kind)
    if strategy.status is not None:
        restore(new, old, "status")
    drop_disabled(kind.api_version, kind.kind, new, old, features)
    if strategy.update is not None:
        strategy.update(new, old)
    if kind.kind == "ResourceSlice":
        date_taints(new, now)
    elif kind.kind == "DeviceTaintRule":
        date_taint_rule(new, old, now)
    if strategy.generation and not all(semantic_equal(_at(new, path), _at(old, path)) for path in strategy.generation):
        _bump(new, old)


def allow_create_on_update(kind: Kind) -> bool:
    """Whether PUT of a name that does not exist creates it."""
    return row(kind).creates_on_update


def allow_unconditional_update(kind: Kind) -> bool:
    """Whether an update may come without a resourceVersion; custom resources may not."""
    return row(kind).unconditional_update and not is_custom(kind)
