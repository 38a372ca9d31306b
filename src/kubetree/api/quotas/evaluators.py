"""One evaluator a kind: what an object uses, which of a quota's resources concern it, which scopes it falls in.

Follows pkg/quota/v1/evaluator/core and apiserver/pkg/quota/v1/generic. Kinds without an evaluator of their own are counted
(`count/deployments.apps`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubetree.api.quantities import Quantity
from kubetree.api.quotas import claims, pods, resource_claims, services
from kubetree.api.quotas.resource_lists import ResourceList, add, masked

CREATE, UPDATE = "CREATE", "UPDATE"
_ONE = Quantity(1)
_ALIASES = {"configmaps", "resourcequotas", "replicationcontrollers", "secrets"}
"""Counted under their own name too, from before there was count/."""

Object = Mapping[str, Any]


def _never(scope: Object, obj: Object) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Evaluator:
    """`usage(obj, now)` is what the object counts for. `matches_name(name)` says whether a resource of a quota concerns the kind,
    `matches_scope(selector, obj)` whether the object falls in a scope, `lacking(required, obj)` what it must state ('' nothing).

    `handles(operation, subresource, new, old)` says whether a write could change usage.
    """

    usage: Callable[[Object, datetime], ResourceList]
    matches_name: Callable[[str], bool]
    handles: Callable[[str, str, Object, Object | None], bool]
    matches_scope: Callable[[Object, Object], bool] = field(default=_never)
    lacking: Callable[[Sequence[str], Object], str] = field(default=lambda required, obj: "")

    def matching(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if self.matches_name(name)]

    def in_scopes(self, quota: Object, obj: Object) -> bool:
        """Whether the object falls in every scope of the quota."""
        return all(self.matches_scope(selector, obj) for selector in scope_selectors(quota))


def scope_selectors(quota: Object) -> list[Object]:
    """`scopes` and `scopeSelector` in one form."""
    spec = quota.get("spec") or {}
    selectors: list[Object] = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    return selectors + list((spec.get("scopeSelector") or {}).get("matchExpressions") or ())


def total_usage(evaluator: Evaluator, quota: Object, objects: Iterable[Object], now: datetime, names: Sequence[str]) -> ResourceList:
    """What all `objects` of a namespace use of the quota's resources `names`, zero where nothing does."""
    total: ResourceList = {name: Quantity(0) for name in evaluator.matching(names)}
    for obj in objects:
        if evaluator.in_scopes(quota, obj):
            total = add(total, masked(evaluator.usage(obj, now), total))
    return total


def _counted(group_resource: str) -> Evaluator:
    names = {f"count/{group_resource}"} | ({group_resource} & _ALIASES)
    used = dict.fromkeys(sorted(names), _ONE)
    return Evaluator(
        usage=lambda obj, now: used,
        matches_name=names.__contains__,
        handles=lambda operation, subresource, new, old: operation == CREATE and not subresource,
    )


_SPECIAL = {
    "pods": Evaluator(pods.usage, pods.matches_name, pods.handles, pods.matches_scope, pods.lacking),
    "services": Evaluator(services.usage, services.matches_name, services.handles),
    "persistentvolumeclaims": Evaluator(claims.usage, claims.matches_name, claims.handles, claims.matches_scope),
    "resourceclaims.resource.k8s.io": Evaluator(resource_claims.usage, resource_claims.matches_name, resource_claims.handles),
}
_MADE: dict[str, Evaluator] = {}
IGNORED = frozenset({"events", "events.events.k8s.io"})
"""Never counted: a flood of them must not cost a quota update each."""


def evaluator_of(group_resource: str) -> Evaluator | None:
    """None for what quotas never count."""
    if group_resource in IGNORED:
        return None
    special = _SPECIAL.get(group_resource)
    if special is not None:
        return special
    made = _MADE.get(group_resource)
    if made is None:
        made = _MADE[group_resource] = _counted(group_resource)
    return made
