"""MutatingAdmissionPolicy: policies one after another, each on what the one before has made; those that ask for it once more at the end.

Follows plugin/policy/mutating/dispatcher.go.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kubetree.api.errors import ApiError, BadRequest, Cause
from kubetree.api.kinds import Kinds
from kubetree.api.objects import semantic_equal
from kubetree.apiserver.admission.internal_errors import internal_error
from kubetree.apiserver.admission.matching.activations import Activations
from kubetree.apiserver.admission.matching.candidates import Candidates
from kubetree.apiserver.admission.matching.versions import Convert, Versions, settle
from kubetree.apiserver.admission.metrics import AdmissionMetrics
from kubetree.apiserver.admission.plugin import ANY_SUBRESOURCE, Plugin, refusal
from kubetree.apiserver.admission.policies.definitions import Binding, Definitions, Policy, interest
from kubetree.apiserver.admission.policies.matches import Invocation, Matches, Misconfigured, excluded
from kubetree.apiserver.admission.policies.mutations import MutationFailed, Mutator
from kubetree.apiserver.admission.policies.validations import error_type
from kubetree.apiserver.admission.reinvoked import Remembered, remembered
from kubetree.apiserver.admission.request import CONNECT, CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authorization.attributes import Authorizer, settled

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Failure:
    policy: Policy[Mutator]
    binding: Binding | None
    why: str
    reason: str = ""

    @property
    def message(self) -> str:
        if self.binding is None:
            return f'policy "{self.policy.name}" denied request: {self.why}'
        return f"policy '{self.policy.name}' with binding '{self.binding.name}' denied request: {self.why}"


class MutatingAdmissionPolicy(Plugin):
    """`clock` gives seconds that only grow."""

    name = "MutatingAdmissionPolicy"
    operations = frozenset({CREATE, UPDATE, CONNECT})
    subresources = ANY_SUBRESOURCE
    mutates = True

    def __init__(
        self,
        definitions: Definitions[Mutator],
        matches: Matches,
        kinds: Kinds,
        convert: Convert,
        authorizer: Authorizer,
        metrics: AdmissionMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._candidates = Candidates(matches.equivalents, interest)
        self._definitions, self._matches, self._kinds, self._convert = definitions, matches, kinds, convert
        self._authorizer, self._metrics, self._clock = authorizer, metrics, clock

    def admit(self, request: AdmissionRequest) -> Awaitable[None] | None:
        policies = self._candidates.of(self._definitions.policies(), request)
        return self._apply(policies, request) if policies and not excluded(request) else None

    async def _apply(self, policies: Sequence[tuple[int, Policy[Mutator]]], request: AdmissionRequest) -> None:
        failures: list[_Failure] = []
        invocations: list[Invocation[Mutator]] = []
        for _, policy in policies:
            for found in await self._matches.of(policy, request):
                if isinstance(found, Misconfigured):
                    failures.append(_Failure(policy, found.binding, found.message))
                else:
                    invocations.append(found)
        if invocations:
            await self._dispatch(invocations, request, failures)
        counted = [failure for failure in failures if not failure.policy.ignores_failures]
        if counted:
            raise _refused(request, counted)

    async def _dispatch(self, invocations: list[Invocation[Mutator]], request: AdmissionRequest, failures: list[_Failure]) -> None:
        activations = Activations(request, Versions(request, self._convert), self._authorizer, await self._matches.namespace(request))
        with remembered(self.name, request) as memory:
            applied = False
            for invocation in invocations:
                applied |= await self._invoke(invocation, request, activations, memory, failures)
            if applied:  # upstream goes by that, whether anything has changed or not
                memory.something_changed()
                memory.reinvocation.wanted = True

    async def _invoke(
        self,
        invocation: Invocation[Mutator],
        request: AdmissionRequest,
        activations: Activations,
        memory: Remembered,
        failures: list[_Failure],
    ) -> bool:
        """Whether a mutation was carried out."""
        policy, binding, kind = invocation.policy, invocation.binding, invocation.target.kind
        mutator, activation = policy.evaluator, await activations.at(invocation.target, invocation.param)
        if mutator.conditions is not None:
            conditions = mutator.conditions
            matched = await settled(partial(conditions.matched, activation, request.operation, self._metrics, self._clock))
            if matched.error:
                failures.append(_Failure(policy, binding, matched.error, "Invalid"))
            if not matched.matches:
                return False
        key, applied = _key(invocation), False
        if memory.skips(key):
            return False
        before = standing = await activations.versions.obj(kind)
        for mutation in mutator.mutations:
            if standing is None:
                break
            started = self._clock()
            try:
                activation = await activations.at(invocation.target, invocation.param)
                composed, row = activation.with_variables(mutator.variables), self._kinds.by_kind(kind.api_version, kind.kind)
                standing = self._settled(await settled(partial(mutation.patched, composed, standing, row)), invocation)
                await activations.versions.replace(standing)
            except MutationFailed as error:
                failures.append(_Failure(policy, binding, str(error), "Invalid"))
                self._metrics.policy_checked("mutating", self._clock() - started, policy.name, binding.name, error_type(str(error)))
            else:
                applied = True
                self._metrics.policy_checked("mutating", self._clock() - started, policy.name, binding.name, "no_error")
        memory.invoked(key, changed=not semantic_equal(before, standing), again=policy.reinvoked)
        return applied

    def _settled(self, obj: Object, invocation: Invocation[Mutator]) -> Object:
        try:
            settle(self._kinds, invocation.target.kind, obj, strict=True)
        except BadRequest as error:
            raise internal_error(error.message) from None
        return obj


def _key(invocation: Invocation[Mutator]) -> tuple[str, ...]:
    metadata = (invocation.param or {}).get("metadata") or {}
    return invocation.policy.name, invocation.binding.name, metadata.get("namespace", ""), metadata.get("name", "")


def _refused(request: AdmissionRequest, failures: list[_Failure]) -> ApiError:
    error = refusal(request, "admission request denied by policy")
    first = failures[0]
    error.message = first.message
    if first.reason:
        error.status_reason = first.reason
    error.causes = tuple(Cause("", failure.message) for failure in failures)
    return error
