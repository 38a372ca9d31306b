"""ValidatingAdmissionPolicy: each policy that concerns a request is asked once for each binding and parameter.

Follows plugin/policy/validating/dispatcher.go.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import orjson

from kubetree.api.errors import ApiError, Cause
from kubetree.apiserver.admission.matching.activations import Activations
from kubetree.apiserver.admission.matching.candidates import Candidates
from kubetree.apiserver.admission.matching.versions import Convert, Versions
from kubetree.apiserver.admission.metrics import AdmissionMetrics
from kubetree.apiserver.admission.plugin import ANY_SUBRESOURCE, Plugin, refusal
from kubetree.apiserver.admission.policies.definitions import Binding, Definitions, Policy, interest
from kubetree.apiserver.admission.policies.matches import Invocation, Matches, Misconfigured, excluded
from kubetree.apiserver.admission.policies.validations import DENY, Decision, Validator
from kubetree.apiserver.admission.request import CONNECT, CREATE, DELETE, UPDATE, AdmissionRequest
from kubetree.apiserver.authorization.attributes import Authorizer, settled

Object = dict[str, Any]
_FAILURE = "validation.policy.admission.k8s.io/validation_failure"
_LONGEST_ANNOTATION = 10 * 1024
_CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413}


class ValidatingAdmissionPolicy(Plugin):
    """`clock` gives seconds that only grow."""

    name = "ValidatingAdmissionPolicy"
    operations = frozenset({CREATE, UPDATE, DELETE, CONNECT})
    subresources = ANY_SUBRESOURCE
    validates = True

    def __init__(
        self,
        definitions: Definitions[Validator],
        matches: Matches,
        convert: Convert,
        authorizer: Authorizer,
        metrics: AdmissionMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._candidates = Candidates(matches.equivalents, interest)
        self._definitions, self._matches, self._convert = definitions, matches, convert
        self._authorizer, self._metrics, self._clock = authorizer, metrics, clock

    def validate(self, request: AdmissionRequest) -> Awaitable[None] | None:
        policies = self._candidates.of(self._definitions.policies(), request)
        return self._ask(policies, request) if policies and not excluded(request) else None

    async def _ask(self, policies: Sequence[tuple[int, Policy[Validator]]], request: AdmissionRequest) -> None:
        matched = [(policy, await self._matches.of(policy, request)) for _, policy in policies]
        if not any(found for _, found in matched):
            return
        activations = Activations(request, Versions(request, self._convert), self._authorizer, await self._matches.namespace(request))
        denials: list[_Denial] = []
        for policy, invocations in matched:
            annotations: defaultdict[str, list[str]] = defaultdict(list)
            for found in invocations:
                if isinstance(found, Misconfigured):
                    if not policy.ignores_failures:
                        denials.append(_Denial(policy, found.binding, found.message))
                else:
                    denials += await self._invoke(found, request, activations, annotations)
            for key, values in annotations.items():
                request.annotate(f"{policy.name}/{key}", ", ".join(dict.fromkeys(values)))
        if denials:
            raise denials[0].error(request)

    async def _invoke(
        self,
        invocation: Invocation[Validator],
        request: AdmissionRequest,
        activations: Activations,
        annotations: defaultdict[str, list[str]],
    ) -> list[_Denial]:
        policy, binding = invocation.policy, invocation.binding
        activation = await activations.at(invocation.target, invocation.param)
        verdict = await settled(partial(policy.evaluator.verdict, activation, request.operation, self._metrics, self._clock))
        denials = []
        for decision in verdict.decisions:
            if decision.action == DENY:
                if self._enforce(decision, policy, binding, request):
                    denials.append(_Denial(policy, binding, decision.message, decision.reason))
            elif decision.failed:
                self._count(decision, policy, binding, "allow")
        for annotation in verdict.annotations:
            annotations[annotation.key].append(annotation.value[:_LONGEST_ANNOTATION])
        return denials

    def _enforce(self, decision: Decision, policy: Policy[Validator], binding: Binding, request: AdmissionRequest) -> bool:
        """Does what the binding wants done. Whether that is to refuse the request: always so for audit annotations that fail."""
        if decision.index < 0:
            self._count(decision, policy, binding, "deny")
            return True
        refuses = False
        for action in binding.actions:
            if action == "Deny":
                refuses = True
                self._count(decision, policy, binding, "deny")
            elif action == "Audit":
                request.annotate(_FAILURE, _failure(decision, policy, binding))
                self._count(decision, policy, binding, "audit")
            elif action == "Warn":
                told = f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with binding '{binding.name}'"
                request.warnings.append(f"{told}: {decision.message}")
                self._count(decision, policy, binding, "warn")
        return refuses

    def _count(self, decision: Decision, policy: Policy[Validator], binding: Binding, action: str) -> None:
        self._metrics.policy_checked("validating", decision.seconds, policy.name, binding.name, decision.error_type, action)


class _Denial:
    def __init__(self, policy: Policy[Validator], binding: Binding | None, message: str, reason: str = "") -> None:
        bound = f" with binding '{binding.name}'" if binding is not None else ""
        self.message = f"ValidatingAdmissionPolicy '{policy.name}'{bound} denied request: {message}"
        self.reason = reason or "Invalid"

    def error(self, request: AdmissionRequest) -> ApiError:
        error = refusal(request, self.message)
        error.status_reason, error.status_code = self.reason, _CODES.get(self.reason, 422)
        error.causes = (*error.causes, Cause("", self.message))
        return error


def _failure(decision: Decision, policy: Policy[Validator], binding: Binding) -> str:
    told = {
        "message": decision.message,
        "policy": policy.name,
        "binding": binding.name,
        "expressionIndex": decision.index,
        "validationActions": list(binding.actions),
    }
    return orjson.dumps([told]).decode()
