"""Evicting a pod: a delete that disruption budgets may refuse. Follows pkg/registry/core/pod/storage/eviction.go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiohttp import web

from kubetree.api import errors
from kubetree.api.errors import Cause
from kubetree.api.kind_table import kind
from kubetree.api.objects import copy
from kubetree.api.selectors import label_selector
from kubetree.api.times import format_time
from kubetree.apiserver.admission.request import CREATE
from kubetree.apiserver.operations import change, deletion
from kubetree.apiserver.operations.creation import check_namespace
from kubetree.apiserver.operations.scope import WriteScope
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.wire.bodies import decode_as
from kubetree.apiserver.wire.options import DeleteOptions, delete_options, write_options
from kubetree.apiserver.wire.responses import answer_object

Object = dict[str, Any]
_BUDGET = kind("policy/v1", "PodDisruptionBudget")
_SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
_VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."
_MAX_DISRUPTED, _ATTEMPTS = 2000, 20
_FINISHED = ("Succeeded", "Failed")


async def evict(call: Call) -> web.StreamResponse:
    """POST pods/NAME/eviction. Raises TooManyRequests when a budget does not allow it."""
    ctx, output = call.ctx, call.output()
    options = write_options(ctx.query, ctx.user_agent, "CreateOptions")
    body = await call.body()
    eviction = decode_as(ctx, body, "io.k8s.api.policy.v1.Eviction", "policy/v1", "Eviction", options.validation, also=("policy/v1beta1",))
    metadata = eviction.setdefault("metadata", {})
    check_namespace(call.namespace, metadata)
    if metadata.get("name", "") != call.name:
        raise errors.BadRequest("name in URL does not match name in Eviction object")
    wanted = asked(eviction, options.dry_run)
    scope = call.scope(options, "CreateOptions")
    request = scope.admission(CREATE, call.resource.kind, call.name, eviction, None)
    await call.registry.admission.admit(request)
    await call.registry.admission.validate(request)
    await _evict(call, wanted, eviction.get("deleteOptions") or {})
    return answer_object(ctx, _SUCCESS, output, 201)


def asked(eviction: Object, dry_run: bool) -> DeleteOptions:
    """How the pod is to be deleted. Raises Invalid, BadRequest. Pure."""
    given = eviction.get("deleteOptions") or {}
    field, preconditions = "ignoreStoreReadErrorWithClusterBreakingPotential", given.get("preconditions") or {}
    if given.get(field):
        detail = "Invalid value: true: can not be set for pod eviction, try after removing the option"
        name = eviction["metadata"]["name"]
        raise errors.invalid("Eviction", "policy", name, [Cause("FieldValueInvalid", detail, f"deleteOptions.{field}")])
    runs = given.get("dryRun") or []
    if dry_run and runs and runs != ["All"]:
        raise errors.BadRequest(f"Non-matching dry-run options in request and content: [All] and [{' '.join(runs)}]")
    return DeleteOptions(
        given.get("gracePeriodSeconds"),
        preconditions.get("uid"),
        preconditions.get("resourceVersion"),
        given.get("orphanDependents"),
        given.get("propagationPolicy"),
        dry_run or bool(runs),
    )


async def _evict(call: Call, options: DeleteOptions, given: Object) -> None:
    """`given`: the DeleteOptions as they came."""
    pinned = options.resource_version is not None
    for attempt in range(_ATTEMPTS):
        pod = await call.cached()
        if not ignores_budgets(pod):
            break
        enforce = not pinned and (pod.get("status") or {}).get("phase") == "Pending" and not pod["metadata"].get("deletionTimestamp")
        try:
            await _delete(call, replace(options, resource_version=pod["metadata"]["resourceVersion"]) if enforce else options, given)
        except errors.Conflict:
            if pinned or attempt == _ATTEMPTS - 1:
                raise
            continue
        return
    budgets = await _budgets(call, pod)
    if len(budgets) > 1:
        message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise errors.ApiError(message, status_code=500, status_reason="")
    unhealthy_allowed = False
    if budgets:
        unhealthy_allowed = unhealthy_may_go(budgets[0], pod)
        if not unhealthy_allowed:
            await _take_disruption(call, budgets[0]["metadata"]["name"], options.dry_run)
    if unhealthy_allowed and not pinned:
        try:
            await _delete(call, replace(options, resource_version=pod["metadata"]["resourceVersion"]), given)
        except errors.Conflict:
            raise _still_processing(budgets[0]["metadata"]["name"]) from None
    else:
        await _delete(call, options, given)


def ignores_budgets(pod: Object) -> bool:
    """Finished, pending and dying pods disrupt nobody. Pure."""
    return (pod.get("status") or {}).get("phase") in (*_FINISHED, "Pending") or bool(pod["metadata"].get("deletionTimestamp"))


def unhealthy_may_go(budget: Object, pod: Object) -> bool:
    """Whether a pod that is not ready may be evicted without counting as a disruption. Pure."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    if any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions):
        return False
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy", 0)
    return bool(status.get("currentHealthy", 0) >= desired > 0)


async def _budgets(call: Call, pod: Object) -> list[Object]:
    resource = call.registry.resource(_BUDGET)
    await resource.cache.fresh()
    labels = pod["metadata"].get("labels") or {}
    found = (e.obj for e in resource.cache.items(resource.scope_prefix(call.namespace)))
    return [b for b in found if label_selector((b.get("spec") or {}).get("selector")).matches(labels)]


async def _take_disruption(call: Call, name: str, dry_run: bool) -> None:
    now = format_time(call.registry.clock())

    async def transform(old: Object | None) -> Object:
        if old is None:
            raise errors.not_found(_BUDGET.plural, _BUDGET.group, name)
        return decremented(old, call.name, now)

    scope = WriteScope(call.namespace, subresource="status", dry_run=dry_run, admit=False)
    await change.update(call.registry, call.registry.resource(_BUDGET), name, transform, scope)


def decremented(budget: Object, pod: str, now: str) -> Object:
    """The budget with one disruption taken. Raises TooManyRequests or Forbidden, in upstream's words. Pure."""
    name, status = budget["metadata"]["name"], budget.get("status") or {}
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise _still_processing(name)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 0:
        raise errors.forbidden("poddisruptionbudget", "policy", name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > _MAX_DISRUPTED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise errors.forbidden("poddisruptionbudget", "policy", name, why)
    if allowed == 0:
        raise errors.TooManyRequests(_VIOLATES, causes=[Cause("DisruptionBudget", _why_not(name, status))])
    new: Object = copy(budget)
    new["status"]["disruptionsAllowed"] = allowed - 1
    new["status"].setdefault("disruptedPods", {})[pod] = now
    if allowed == 1:
        _not_allowed_any_more(new, now)
    return new


def _not_allowed_any_more(budget: Object, now: str) -> None:
    condition: Object = {
        "type": "DisruptionAllowed",
        "status": "False",
        "observedGeneration": budget["metadata"].get("generation", 0),
        "lastTransitionTime": now,
        "reason": "InsufficientPods",
        "message": "",
    }
    conditions = budget["status"].setdefault("conditions", [])
    for i, standing in enumerate(conditions):
        if standing.get("type") == "DisruptionAllowed":
            if standing.get("status") == "False":
                condition["lastTransitionTime"] = standing.get("lastTransitionTime", now)
            conditions[i] = condition
            return
    conditions.append(condition)


def _why_not(name: str, status: Object) -> str:
    condition: Object = next((c for c in status.get("conditions") or () if c.get("type") == "DisruptionAllowed"), {})
    refused, message = condition.get("status") == "False", condition.get("message") or ""
    current, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    subject = f"The disruption budget {name}"
    if refused and message and condition.get("reason") == "SyncFailed":
        return f"{subject} does not allow evicting pods currently because it failed sync: {message}"
    if current <= desired:
        return f"{subject} needs {desired} healthy pods and has {current} currently"
    if refused and message:
        return f"{subject} does not allow evicting pods currently ({condition.get('reason')}): {message}"
    return f"{subject} does not allow evicting pods currently"


def _still_processing(name: str) -> errors.TooManyRequests:
    cause = Cause("DisruptionBudget", f"The disruption budget {name} is still being processed by the server.")
    return errors.TooManyRequests(_VIOLATES, causes=[cause], retry_after=10)


async def _delete(call: Call, options: DeleteOptions, given: Object) -> None:
    """Marks the pod as evicted, then deletes it. Only then what policy and dry run say is looked at. Raises Invalid."""
    ctx, now = call.ctx, format_time(call.registry.clock())
    scope = WriteScope(call.namespace, ctx.user, "kube-apiserver", "status", options.dry_run, admit=False)
    if not options.dry_run:

        async def transform(old: Object | None) -> Object:
            if old is None:
                raise call.not_found()
            deletion.check_preconditions(call.resource, call.name, options, old["metadata"])
            return _marked(old, now)

        stored = await change.update(call.registry, call.resource, call.name, transform, scope, tracked=True)
        if options.resource_version is not None:
            options = replace(options, resource_version=str(stored.revision))
    delete_options({}, given)
    scope.subresource = ""
    await deletion.delete(call.registry, call.resource, call.name, options, scope)


def _marked(pod: Object, now: str) -> Object:
    new: Object = copy(pod)
    conditions = new.setdefault("status", {}).setdefault("conditions", [])
    condition: Object = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastProbeTime": None,
        "lastTransitionTime": now,
    }
    for i, standing in enumerate(conditions):
        if standing.get("type") == "DisruptionTarget":
            if standing.get("status") == "True":
                condition["lastTransitionTime"] = standing.get("lastTransitionTime")
            conditions[i] = condition
            return new
    conditions.append(condition)
    return new
