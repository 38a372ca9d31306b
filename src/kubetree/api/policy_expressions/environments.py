"""What an expression of a policy, a mutation or a match condition may use: one environment for each combination that there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from kubetree.api.cel import DYN, Environment, Type
from kubetree.api.cel.functions.authorization import AUTHORIZER, RESOURCE_CHECK
from kubetree.api.cel.functions.json_patches import JSON_PATCHES
from kubetree.api.cel.types import ANY, BOOL, BYTES, DOUBLE, DURATION, INT, NULL, STRING, TIMESTAMP, UINT, Kind, list_of, map_of, struct
from kubetree.api.policy_expressions.objects import make, struct_type
from kubetree.api.policy_expressions.types import NAMESPACE, REQUEST

BUDGET, CONDITIONS_BUDGET = 10_000_000, 2_500_000
"""What all expressions of a policy's binding, and all match conditions, may cost together."""


@dataclass(frozen=True, slots=True)
class Scope:
    """`patches`: the expression may build objects and patches."""

    params: bool = False
    authorizer: bool = True
    patches: bool = False


@dataclass(slots=True)
class Variables:
    """The types of a policy's variables, in the order they are written: each may use those before it."""

    fields: dict[str, Type] = field(default_factory=dict)

    def add(self, name: str, of: Type | None) -> None:
        """None: a variable that does not compile, which may be anything. So may an object, for upstream forgets its type."""
        self.fields[name] = DYN if of is None else _kept(of)

    @property
    def type(self) -> Type:
        return struct("kubernetes.variables", dict(self.fields))


_KEPT = frozenset({ANY, BOOL, BYTES, DOUBLE, DURATION, INT, NULL, STRING, TIMESTAMP, UINT})


def _kept(t: Type) -> Type:
    if t.kind is Kind.LIST:
        return list_of(_kept(t.params[0]))
    if t.kind is Kind.MAP:
        return map_of(_kept(t.params[0]), _kept(t.params[1]))
    return t if t in _KEPT else DYN


@cache
def _base(scope: Scope) -> Environment:
    variables = {"object": DYN, "oldObject": DYN, "namespaceObject": NAMESPACE, "request": REQUEST}
    if scope.params:
        variables["params"] = DYN
    if scope.authorizer:
        variables["authorizer"] = AUTHORIZER
        variables["authorizer.requestResource"] = RESOURCE_CHECK
    if not scope.patches:
        return Environment(variables)
    return Environment(variables, functions=JSON_PATCHES, struct_type=struct_type, make_struct=make)


def environment(scope: Scope, variables: Variables | None = None) -> Environment:
    """`variables` None: the expression belongs to nothing that has any."""
    base = _base(scope)
    return base if variables is None else base.extend({"variables": variables.type})
