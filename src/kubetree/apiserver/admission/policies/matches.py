"""Which policies, bindings and parameters concern a request. Follows plugin/policy/generic. Shared by both plugins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kubetree.api.errors import ApiError, NotFound
from kubetree.apiserver.admission.matching.selectors import Namespaces
from kubetree.apiserver.admission.matching.targets import Equivalents, Target
from kubetree.apiserver.admission.policies.definitions import Binding, Policy
from kubetree.apiserver.admission.policies.params import BadConfiguration, Params
from kubetree.apiserver.admission.request import AdmissionRequest

Object = dict[str, Any]
E = TypeVar("E")
_FREE = frozenset(
    {
        "mutatingadmissionpolicies.admissionregistration.k8s.io",
        "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "selfsubjectreviews.authentication.k8s.io",
        "tokenreviews.authentication.k8s.io",
        "localsubjectaccessreviews.authorization.k8s.io",
        "selfsubjectaccessreviews.authorization.k8s.io",
        "selfsubjectrulesreviews.authorization.k8s.io",
        "subjectaccessreviews.authorization.k8s.io",
    }
)
"""A policy that refused these would lock everyone out. Configurations of webhooks are not among them: who may call out is worth a policy."""


@dataclass(frozen=True, slots=True)
class Invocation(Generic[E]):
    """A policy that is to be evaluated, with one of its bindings and one of its parameters."""

    policy: Policy[E]
    binding: Binding
    target: Target
    param: Object | None


@dataclass(frozen=True, slots=True)
class Misconfigured(Generic[E]):
    """What stands in the way of a policy that concerns the request. `binding` None: the policy itself is at fault."""

    policy: Policy[E]
    binding: Binding | None
    why: str

    @property
    def message(self) -> str:
        return f"failed to configure {'policy' if self.binding is None else 'binding'}: {self.why}"


def excluded(request: AdmissionRequest) -> bool:
    """Whether no policy is ever asked about such a request."""
    return request.kind.group_resource in _FREE


@dataclass(frozen=True, slots=True)
class Matches:
    """Finds the invocations of one policy for one request."""

    equivalents: Equivalents
    namespaces: Namespaces
    params: Params

    async def of(self, policy: Policy[E], request: AdmissionRequest) -> list[Invocation[E] | Misconfigured[E]]:
        """In the order of bindings and parameters."""
        if policy.criteria is None:
            return [Misconfigured(policy, None, "policy contained no match constraints, a required field")]
        try:
            target = await policy.criteria.target(request, self.equivalents, self.namespaces)
            if target is None:
                return []
            row = self.params.row(policy.param_kind)
        except NotFound as error:
            return [Misconfigured(policy, None, error.message)]
        except BadConfiguration as error:
            return [Misconfigured(policy, None, str(error))]
        found: list[Invocation[E] | Misconfigured[E]] = []
        for binding in policy.bindings:
            try:
                if binding.criteria is not None and await binding.criteria.target(request, self.equivalents, self.namespaces) is None:
                    continue
                params = await self.params.of(row, binding.param_ref, request.namespace)
            except ApiError as error:
                found.append(Misconfigured(policy, binding, error.message))
            except BadConfiguration as error:
                found.append(Misconfigured(policy, binding, str(error)))
            else:
                found += [Invocation(policy, binding, target, param) for param in params]
        return found

    async def namespace(self, request: AdmissionRequest) -> Object | None:
        """The namespace that expressions see: none for what is in none, nor for a Namespace itself. Raises NotFound."""
        of_namespace = request.kind.plural == "namespaces" and not request.kind.group
        return await self.namespaces.get(request.namespace) if request.namespace and not of_namespace else None
