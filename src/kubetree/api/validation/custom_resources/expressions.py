"""Rules of a schema (`x-kubernetes-validations`): whether they compile, what they may cost at most, and whether there is an old value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubetree.api.cel import schema_type
from kubetree.api.custom_resources.rule_programs import MOST, compile_rules, most_values
from kubetree.api.validation.errors import Errors, Object, Printed, compact, forbidden, internal, invalid

RULE_LIMIT = 10_000_000
SCHEMA_LIMIT = 100_000_000
_SHOWN = 4
_UNTYPED = (
    "internal error: failed to construct type information for x-kubernetes-validations rules: "
    "unable to convert structural schema to CEL declarations"
)
_ADVICE = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"


@dataclass(slots=True)
class Costs:
    """What all rules of a schema cost together at most. `suppressed`: a schema that stands already may have rules that cost too much."""

    suppressed: bool = False
    total: int = 0
    most: list[tuple[int, str]] = field(default_factory=list)

    def add(self, path: str, cost: int) -> None:
        self.total = min(self.total + cost, MOST)
        if cost >= SCHEMA_LIMIT // 100:
            self.most = sorted([*self.most, (cost, path)], key=lambda pair: -pair[0])[:_SHOWN]

    def check(self, errs: Errors, path: str) -> None:
        """The limit for the whole schema."""
        if self.total <= SCHEMA_LIMIT:
            return
        for _, at in self.most:
            errs.append(forbidden(at, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"))
        what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        errs.append(forbidden(path, _exceeds(what, self.total, SCHEMA_LIMIT)))


def _exceeds(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:.6f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} {_ADVICE}"


def times(node: Object) -> int | None:
    """How many children one value may have at most; None: there is no bound."""
    sort = node.get("type")
    if sort == "array":
        most = node.get("maxItems")
    elif sort == "object" and node.get("additionalProperties") is not None:
        most = node.get("maxProperties")
    else:
        return 1
    return None if most is None else max(most, 0)


def rules(errs: Errors, node: Object, path: str, *, root: bool, cardinality: int | None, uncorrelated: str, costs: Costs) -> None:
    """`cardinality`: how many such values an object can have, None without a bound. `uncorrelated`: the path of a list or map whose
    members have no old value, '' when there is none."""
    found: list[Mapping[str, Any]] = node.get("x-kubernetes-validations") or []
    schema = dict(node)
    of_type = schema_type(schema, resource_root=root or bool(node.get("x-kubernetes-embedded-resource")))
    at = f"{path}.x-kubernetes-validations"
    if of_type is None:
        errs.append(internal(at, _UNTYPED))
        return
    for i, rule in enumerate(compile_rules([dict(r) for r in found], schema, of_type)):
        where, source = f"{at}[{i}]", found[i]
        cost = min(rule.cost * (cardinality if cardinality is not None else most_values(of_type)), MOST)
        if not costs.suppressed and cost > RULE_LIMIT:
            errs.append(forbidden(f"{where}.rule", _exceeds("estimated rule cost", cost, RULE_LIMIT)))
        costs.add(f"{where}.rule", cost)
        if rule.error:
            errs.append(invalid(f"{where}.rule", _go_rule(source), rule.error))
        if rule.message_error:
            errs.append(invalid(f"{where}.messageExpression", _go_rule(source), rule.message_error))
        elif rule.message is not None:
            if not costs.suppressed and rule.message_cost > RULE_LIMIT:
                detail = _exceeds("estimated messageExpression cost", rule.message_cost, RULE_LIMIT)
                errs.append(forbidden(f"{where}.messageExpression", detail))
            costs.add(f"{where}.messageExpression", rule.message_cost)
        if rule.uses_old and uncorrelated:
            detail = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelated}"
            errs.append(invalid(f"{where}.rule", source.get("rule") or "", detail))
        elif not rule.uses_old and source.get("optionalOldSelf") is not None:
            errs.append(invalid(f"{where}.optionalOldSelf", source["optionalOldSelf"], "may not be set if oldSelf is not used in rule"))


def _go_rule(rule: Object) -> Printed:
    """A rule as upstream's internal type prints."""
    names = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
    usual = {"rule": "", "message": "", "messageExpression": "", "fieldPath": ""}
    found = {name[0].upper() + name[1:]: rule.get(name, usual.get(name)) for name in names}
    return Printed(compact(found))
