"""Policies with their bindings, ready to be asked: read from the watch cache, compiled once until one of them changes.

Follows admission/plugin/policy/generic/policy_source.go. A policy without a binding does nothing, so it is not even compiled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kubetree.api.kinds import Kind
from kubetree.apiserver.admission.matching.candidates import Interest
from kubetree.apiserver.admission.matching.criteria import Criteria, criteria
from kubetree.apiserver.lister import Lister

Object = dict[str, Any]
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class ParamKind:
    """What a policy's parameters are objects of."""

    api_version: str
    kind: str

    @property
    def shown(self) -> str:
        """As upstream's `%v` of a GroupVersionKind."""
        group, _, version = self.api_version.rpartition("/")
        return f"{group}/{version}, Kind={self.kind}"


@dataclass(frozen=True, slots=True)
class Binding:
    """`criteria` None: whatever the policy matches."""

    name: str
    criteria: Criteria | None
    param_ref: Object | None
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy(Generic[E]):
    """`evaluator` is what the plugin has compiled. `criteria` None: a policy without constraints, which validation does not let through."""

    name: str
    criteria: Criteria | None
    param_kind: ParamKind | None
    ignores_failures: bool
    reinvoked: bool
    bindings: tuple[Binding, ...]
    evaluator: E


def interest(policy: Policy[Any]) -> Interest:
    """What the policy could want of requests, for `matching.candidates`; None: anything."""
    criteria = policy.criteria
    return (criteria.rules, criteria.equivalent) if criteria is not None and criteria.rules else None


class Definitions(Generic[E]):
    """`policies()` gives all policies of a kind that have bindings, by name, and each one's bindings by name."""

    def __init__(self, lister: Lister, policy: Kind, binding: Kind, compile: Callable[[Object], E]) -> None:
        self._lister, self._policy, self._binding, self._compile = lister, policy, binding, compile
        self._generations = (-1, -1)
        self._policies: tuple[Policy[E], ...] = ()
        self._compiled: dict[str, tuple[str, E]] = {}

    def policies(self) -> tuple[Policy[E], ...]:
        generations = self._lister.generation(self._policy), self._lister.generation(self._binding)
        if generations != self._generations:
            self._read()
            self._generations = generations
        return self._policies

    def _read(self) -> None:
        bindings: defaultdict[str, list[Binding]] = defaultdict(list)
        for obj in sorted(self._lister.list(self._binding), key=_name):
            spec = obj.get("spec") or {}
            bindings[spec.get("policyName") or ""].append(_binding(obj, spec))
        compiled, found = {}, []
        for obj in sorted(self._lister.list(self._policy), key=_name):
            name, version = _name(obj), obj["metadata"].get("resourceVersion", "")
            if name not in bindings:
                continue
            standing = self._compiled.get(name)
            compiled[name] = standing if standing is not None and standing[0] == version else (version, self._compile(obj))
            found.append(_policy(obj, tuple(bindings[name]), compiled[name][1]))
        self._compiled, self._policies = compiled, tuple(found)


def _name(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name


def _policy(obj: Object, bindings: tuple[Binding, ...], evaluator: E) -> Policy[E]:
    spec = obj.get("spec") or {}
    constraints, param = spec.get("matchConstraints"), spec.get("paramKind")
    return Policy(
        _name(obj),
        criteria(constraints) if constraints is not None else None,
        ParamKind(param.get("apiVersion") or "", param.get("kind") or "") if param is not None else None,
        spec.get("failurePolicy") == "Ignore",
        spec.get("reinvocationPolicy") == "IfNeeded",
        bindings,
        evaluator,
    )


def _binding(obj: Object, spec: Object) -> Binding:
    resources = spec.get("matchResources")
    actions = tuple(spec.get("validationActions") or ())
    return Binding(_name(obj), criteria(resources) if resources is not None else None, spec.get("paramRef"), actions)
