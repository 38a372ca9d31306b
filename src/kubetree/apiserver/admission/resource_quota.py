"""ResourceQuota: what a write uses is added to the quota's status before the write happens, so that parallel writes never exceed it.

Follows apiserver's plugin/resourcequota. The writes of one namespace that wait at the same time are charged together, in one
compare-and-swap a quota: whoever comes first charges for all who have come until then.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubetree.api.errors import ApiError, InternalError, NotFound, qualified
from kubetree.api.kind_table import kind
from kubetree.api.pod_resources import resource_list
from kubetree.api.quotas import Evaluator, add, evaluator_of, exceeded, masked, pretty, subtract_or_zero, without_zeros
from kubetree.api.quotas.evaluators import scope_selectors
from kubetree.api.quotas.resource_lists import ResourceList
from kubetree.apiserver.admission.by_namespace import ByNamespace
from kubetree.apiserver.admission.plugin import ANY_SUBRESOURCE, Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.registry import Writer

RESOURCE_QUOTA = kind("v1", "ResourceQuota")

Object = dict[str, Any]


@dataclass(eq=False, slots=True)
class _Waiting:
    """A write that waits to be charged. `charged` is what it was, by quota name."""

    request: AdmissionRequest
    evaluator: Evaluator
    usage: ResourceList
    before: ResourceList | None
    error: ApiError | None = None
    done: bool = False
    charged: dict[str, ResourceList] = field(default_factory=dict)


class ResourceQuota(Plugin):
    """`clock` gives the time, UTC."""

    name = "ResourceQuota"
    operations = frozenset({CREATE, UPDATE})
    subresources = ANY_SUBRESOURCE
    validates = True

    def __init__(self, lister: Lister, writer: Writer, clock: Callable[[], datetime], limited: Sequence[Object] = ()) -> None:
        """`limited` are the configuration's limitedResources: what may only be used where a quota says how much."""
        self._limited = limited
        self._quotas = ByNamespace(lister, RESOURCE_QUOTA, writer)
        self._writer, self._clock = writer, clock
        self._waiting: dict[str, list[_Waiting]] = defaultdict(list)
        self._turns: dict[str, asyncio.Lock] = {}

    def validate(self, request: AdmissionRequest) -> Awaitable[None] | None:
        if not request.namespace or request.obj is None or request.kind.group_resource == "namespaces":
            return None
        if self._quotas.doubtful(request.namespace):
            return self._later(request, request.obj)
        quotas = self._quotas(request.namespace)
        return self._check(request, request.obj, quotas) if quotas or self._limited else None

    async def _later(self, request: AdmissionRequest, obj: Object) -> None:
        await self._quotas.catch_up(request.namespace)
        await self._check(request, obj, self._quotas(request.namespace))

    async def _check(self, request: AdmissionRequest, obj: Object, quotas: Sequence[Object]) -> None:
        evaluator = evaluator_of(request.kind.group_resource)
        if evaluator is None or not evaluator.handles(request.operation, request.subresource, obj, request.old):
            return
        waiting = self._prepared(request, evaluator)
        for quota in quotas:
            _check_stated(waiting, quota)
        if self._limited:
            _check_covered(waiting, quotas, self._limited)
        if request.dry_run:
            _check_dry_run(waiting, quotas)
        elif any(_delta(waiting, quota) for quota in quotas):
            await self._charged(waiting)

    def _prepared(self, request: AdmissionRequest, evaluator: Evaluator) -> _Waiting:
        now = self._clock()
        assert request.obj is not None
        usage = evaluator.usage(request.obj, now)
        negative = sorted(name for name, quantity in usage.items() if quantity.milli() < 0)
        if negative:
            raise refusal(request, f"quota usage is negative for resource(s): {','.join(negative)}")
        before = evaluator.usage(request.old, now) if request.operation == UPDATE and request.old is not None else None
        return _Waiting(request, evaluator, usage, before)

    async def _charged(self, waiting: _Waiting) -> None:
        """Returns when the write has been charged, by this task or by one that went before. Raises what refuses it."""
        namespace = waiting.request.namespace
        self._waiting[namespace].append(waiting)
        turn = self._turns.setdefault(namespace, asyncio.Lock())
        async with turn:
            if not waiting.done:
                await self._charge(namespace)
        if not self._waiting[namespace] and not turn.locked():
            self._turns.pop(namespace, None)
            self._waiting.pop(namespace, None)
        if waiting.error is not None:
            raise waiting.error

    async def _charge(self, namespace: str) -> None:
        """Charges everyone who waits in the namespace. Should it be interrupted, they wait on for the next."""
        batch, self._waiting[namespace] = self._waiting[namespace], []
        try:
            for quota in self._quotas(namespace):
                concerned = [found for found in batch if found.error is None and _delta(found, quota)]
                if concerned:
                    await self._charge_one(namespace, quota["metadata"]["name"], concerned)
            await self._refund(namespace, [found for found in batch if found.error is not None and found.charged])
        except BaseException:
            self._waiting[namespace] = batch + self._waiting[namespace]
            raise
        for found in batch:
            found.done = True

    async def _charge_one(self, namespace: str, name: str, batch: Sequence[_Waiting]) -> None:
        def change(quota: Object) -> Object | None:
            used = before = resource_list((quota.get("status") or {}).get("used"))
            for found in batch:
                found.error, wanted = None, _wanted(found, quota)
                try:
                    _check_fits(found.request, quota, wanted, used)
                except ApiError as error:
                    found.error = error
                    found.charged.pop(name, None)
                else:
                    used = add(used, wanted)
                    found.charged[name] = wanted
            return None if used == before else _with_used(quota, used)

        try:
            await self._writer.update(RESOURCE_QUOTA, namespace, name, change, subresource="status")
        except NotFound:
            for found in batch:
                found.charged.pop(name, None)
        except ApiError as error:
            for found in batch:
                found.error = error

    async def _refund(self, namespace: str, batch: Sequence[_Waiting]) -> None:
        """Gives back what a write was charged by one quota before another refused it."""
        for name in {name for found in batch for name in found.charged}:

            def change(quota: Object, name: str = name) -> Object | None:
                used = resource_list((quota.get("status") or {}).get("used"))
                for found in batch:
                    used = subtract_or_zero(used, found.charged.get(name, {}))
                return _with_used(quota, used)

            try:
                await self._writer.update(RESOURCE_QUOTA, namespace, name, change, subresource="status")
            except NotFound:
                continue


def _hard(quota: Object) -> ResourceList:
    return resource_list((quota.get("status") or {}).get("hard"))


def _matches(waiting: _Waiting, quota: Object, obj: Object) -> list[str]:
    """The quota's resources that concern the object, none when it falls outside the quota's scopes."""
    names = waiting.evaluator.matching((quota.get("status") or {}).get("hard") or ())
    return names if names and waiting.evaluator.in_scopes(quota, obj) else []


def _delta(waiting: _Waiting, quota: Object) -> ResourceList:
    """What the write would add to the quota's use, without zeros."""
    request = waiting.request
    assert request.obj is not None
    if not _matches(waiting, quota, request.obj):
        return {}
    usage = waiting.usage
    if waiting.before is not None and request.old is not None and _matches(waiting, quota, request.old):
        usage = subtract_or_zero(usage, waiting.before)
    return without_zeros(usage)


def _wanted(waiting: _Waiting, quota: Object) -> ResourceList:
    return masked(_delta(waiting, quota), _hard(quota))


def _check_stated(waiting: _Waiting, quota: Object) -> None:
    """Refuses what does not state what the quota counts, and writes before the quota was counted at all."""
    request, name = waiting.request, quota["metadata"]["name"]
    assert request.obj is not None
    restricted = _matches(waiting, quota, request.obj)
    lacking = waiting.evaluator.lacking(restricted, request.obj)
    if lacking:
        raise refusal(request, f"failed quota: {name}: {lacking}")
    used = (quota.get("status") or {}).get("used") or {}
    if any(resource not in used for resource in restricted):
        raise refusal(request, f"status unknown for quota: {name}, resources: {','.join(sorted(restricted))}")


def _check_covered(waiting: _Waiting, quotas: Sequence[Object], limited: Sequence[Object]) -> None:
    """Refuses what is limited by default and covered by no quota. Follows CheckRequest of plugin/resourcequota."""
    request, evaluator = waiting.request, waiting.evaluator
    assert request.obj is not None
    usage = waiting.usage
    if waiting.before is not None and not any(_matches(waiting, quota, request.obj) for quota in quotas):
        usage = subtract_or_zero(usage, waiting.before)
    if not without_zeros(usage):
        return
    mine = [entry for entry in limited if _group_resource(entry) == request.kind.group_resource]
    parts = [part for entry in mine for part in entry.get("matchContains") or ()]
    wanted = {name for name, quantity in waiting.usage.items() if quantity.milli() > 0 and any(part in name for part in parts)}
    covered = {name for quota in quotas for name in _matches(waiting, quota, request.obj)}
    lacking = sorted(wanted - covered)
    if lacking:
        raise refusal(request, f"insufficient quota to consume: {','.join(lacking)}")
    scopes = [scope for entry in limited for scope in entry.get("matchScopes") or () if evaluator.matches_scope(scope, request.obj)]
    held = [scope for quota in quotas for scope in scope_selectors(quota) if evaluator.matches_scope(scope, request.obj)]
    open_ = [scope for scope in scopes if not any(scope.get("scopeName") == other.get("scopeName") for other in held)]
    if open_:
        shown = " ".join(f"{{{s.get('scopeName')} {s.get('operator')} [{' '.join(s.get('values') or ())}]}}" for s in open_)
        raise InternalError(f"insufficient quota to match these scopes: [{shown}]", status_reason="")


def _group_resource(entry: Object) -> str:
    return qualified(entry.get("resource") or "", entry.get("apiGroup") or "")


def _check_fits(request: AdmissionRequest, quota: Object, wanted: ResourceList, used: ResourceList) -> None:
    hard = _hard(quota)
    over = exceeded(masked(add(used, wanted), wanted), hard)
    if over and request.subresource != "status":
        raise refusal(
            request,
            f"exceeded quota: {quota['metadata']['name']}, requested: {pretty(masked(wanted, over))}, "
            f"used: {pretty(masked(used, over))}, limited: {pretty(masked(hard, over))}",
        )


def _check_dry_run(waiting: _Waiting, quotas: Sequence[Object]) -> None:
    for quota in quotas:
        used = resource_list((quota.get("status") or {}).get("used"))
        _check_fits(waiting.request, quota, _wanted(waiting, quota), used)


def _with_used(quota: Object, used: ResourceList) -> Object:
    return quota | {"status": (quota.get("status") or {}) | {"used": {name: str(quantity) for name, quantity in used.items()}}}
