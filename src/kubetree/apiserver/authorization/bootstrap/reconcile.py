"""Keeping the bootstrap roles and bindings as upstream's post-start hook rbac/bootstrap-roles does.

What is missing is added at every start, what an administrator added stays. An object whose annotation
rbac.authorization.kubernetes.io/autoupdate is "false" is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kubetree.api.errors import AlreadyExists, NotFound
from kubetree.api.feature_gates import DEFAULT_FEATURES, Features
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.apiserver.authorization.bootstrap import policy
from kubetree.apiserver.authorization.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from kubetree.apiserver.authorization.rules import PolicyRule, missing
from kubetree.apiserver.registry import Writer

Object = dict[str, Any]
NAMESPACE = kind("v1", "Namespace")


async def reconcile_bootstrap_policy(writer: Writer, features: Features = DEFAULT_FEATURES) -> None:
    """Creates or completes every bootstrap object. Safe to run in several API servers at once; quick when nothing is missing.

    All are written side by side, so that a store that commits in groups needs a few commits and not two hundred.
    """
    for namespace in dict.fromkeys(_key(obj)[0] for obj in [*policy.roles(), *policy.role_bindings()]):
        await ensure_namespace(writer, namespace)
    async with asyncio.TaskGroup() as tasks:
        for row, wanted, complete in (
            (CLUSTER_ROLE, policy.cluster_roles(features), completed_role),
            (CLUSTER_ROLE_BINDING, policy.cluster_role_bindings(features), completed_binding),
            (ROLE, policy.roles(), completed_role),
            (ROLE_BINDING, policy.role_bindings(), completed_binding),
        ):
            existing = {_key(obj): obj for obj in await writer.list(row)}
            for obj in _split(wanted, existing) if row is CLUSTER_ROLE_BINDING else wanted:
                tasks.create_task(_ensure(writer, row, obj, existing.get(_key(obj)), complete))


_SPLIT = {"system:public-info-viewer": "system:discovery"}
"""Bindings that were part of another one once: who has changed that one means both."""


def _split(wanted: Iterable[Object], existing: Mapping[tuple[str, str], Object]) -> Iterator[Object]:
    """A binding that is not there yet is like the one that it was part of, where there is that."""
    for obj in wanted:
        source = existing.get(("", _SPLIT.get(obj["metadata"]["name"], "")))
        if source is None or _key(obj) in existing:
            yield obj
            continue
        like = {field: source["metadata"][field] for field in ("labels", "annotations") if field in source["metadata"]}
        yield {
            **obj,
            "metadata": {"name": obj["metadata"]["name"], "labels": {}, "annotations": {}, **like},
            "subjects": source.get("subjects") or [],
        }


def completed_role(existing: Object, wanted: Object) -> Object | None:
    """`existing` with what it lacks of `wanted`; None when it lacks nothing or is protected."""
    changed = _metadata(existing, wanted)
    if changed is None:
        return None
    lacking = missing([PolicyRule.of(rule) for rule in existing.get("rules") or ()], [PolicyRule.of(r) for r in wanted.get("rules") or ()])
    if lacking and not wanted.get("aggregationRule"):
        changed["rules"] = [*(existing.get("rules") or ()), *(rule.to_dict() for rule in lacking)]
    selectors = list((existing.get("aggregationRule") or {}).get("clusterRoleSelectors") or ())
    expected = (wanted.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
    added = [selector for selector in expected if selector not in selectors]
    if added:
        changed["aggregationRule"] = {"clusterRoleSelectors": [*selectors, *added]}
    elif not expected:
        changed.pop("aggregationRule", None)
    return changed if changed != existing else None


def completed_binding(existing: Object, wanted: Object) -> Object | None:
    """As for roles, with subjects."""
    changed = _metadata(existing, wanted)
    if changed is None:
        return None
    subjects = list(existing.get("subjects") or ())
    added = [subject for subject in wanted.get("subjects") or () if subject not in subjects]
    if added:
        changed["subjects"] = subjects + added
    return changed if changed != existing else None


def _metadata(existing: Object, wanted: Object) -> Object | None:
    metadata = existing["metadata"]
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    if annotations.get(policy.AUTOUPDATE) == "false":
        return None
    labels = wanted["metadata"]["labels"] | (metadata.get("labels") or {})
    return existing | {"metadata": metadata | {"labels": labels, "annotations": wanted["metadata"]["annotations"] | annotations}}


async def _ensure(
    writer: Writer, row: Kind, wanted: Object, existing: Object | None, complete: Callable[[Object, Object], Object | None]
) -> None:
    namespace, name = _key(wanted)
    if existing is not None and existing.get("roleRef") != wanted.get("roleRef"):
        if (existing["metadata"].get("annotations") or {}).get(policy.AUTOUPDATE) == "false":
            return
        await writer.delete(row, namespace, name, uid=existing["metadata"]["uid"])
        existing = None
    if existing is None:
        try:
            await writer.create(row, wanted)
        except AlreadyExists:
            existing = await writer.get(row, namespace, name)
    if existing is not None and complete(existing, wanted) is not None:
        try:
            await writer.update(row, namespace, name, lambda current: complete(current, wanted))
        except NotFound:
            await writer.create(row, wanted)


async def ensure_namespace(writer: Writer, name: str) -> None:
    """Makes it where it is not there."""
    try:
        await writer.get(NAMESPACE, "", name)
    except NotFound:
        try:
            await writer.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        except AlreadyExists:
            return


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
