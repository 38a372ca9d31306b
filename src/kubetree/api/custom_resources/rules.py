"""Evaluates `x-kubernetes-validations` over an object: transition rules where an old value is known, within a budget for all rules.

Follows apiextensions' cel.Validator, order and words included. A rule that failed before and whose value has not changed only warns
(ratcheting).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kubetree.api.cel import PER_CALL_LIMIT, CostExceeded, EvaluationError, schema_type
from kubetree.api.custom_resources.correlation import Correlated, by_keys, find_by_keys
from kubetree.api.custom_resources.rule_programs import Rule, compile_rules
from kubetree.api.validation.errors import OMIT, Errors, FieldError, duplicate, forbidden, invalid, quote, required

Schema = dict[str, Any]
BUDGET = 10_000_000
_MESSAGE_LIMIT = 5 * 1024
_NO_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


class _Exhausted(Exception):
    """No further rule is run."""


@dataclass(slots=True)
class Verdict:
    """What rules said of one object. `warnings` are errors that were there before."""

    errors: Errors = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    budget: int = BUDGET


@dataclass(frozen=True, slots=True)
class _Ratchet:
    """The value and its old one where they can be told to belong together, else the nearest value around it where they can."""

    current: Correlated | None = None
    parent: Correlated | None = None

    def lets_through(self) -> bool:
        at = self.current if self.current is not None else self.parent
        return at is not None and at.unchanged()

    def key(self, name: str) -> _Ratchet:
        if self.current is None:
            return self
        if self.parent is None and name in ("apiVersion", "kind"):
            return _NO_RATCHET
        return _Ratchet(self.current.key(name), self.current)

    def index(self, i: int) -> _Ratchet:
        return self if self.current is None else _Ratchet(self.current.index(i), self.current)


_NO_RATCHET = _Ratchet()


def has_rules(schema: Schema) -> bool:
    """Whether there are rules at all; those in logic count only beside others."""
    if schema.get("x-kubernetes-validations"):
        return True
    below = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return any(isinstance(s, dict) and has_rules(s) for s in below)


def rule_tree(schema: Schema, *, root: bool = True) -> RuleTree | None:
    """All rules of a schema, compiled; None when it has none. `root`: it is a resource's."""
    return _tree(schema, schema, root) if has_rules(schema) else None


def _tree(validations: Schema, schema: Schema, root: bool) -> RuleTree | None:
    """`validations` is the schema itself or one of its allOf."""
    of_type = schema_type(schema, resource_root=root)
    if of_type is None:
        return None
    rules = compile_rules(validations.get("x-kubernetes-validations") or (), schema, of_type)
    tree = RuleTree(schema, rules)
    for name, inner in (validations.get("properties") or {}).items():
        spine = (schema.get("properties") or {}).get(name)
        below = _below(inner, spine)
        if below is not None:
            tree.properties[name] = below
    tree.items = _below(validations.get("items"), schema.get("items"))
    tree.additional = _below(validations.get("additionalProperties"), schema.get("additionalProperties"))
    tree.all_of = [below for inner in validations.get("allOf") or () if (below := _tree(inner, schema, root)) is not None]
    return tree if rules or tree.properties or tree.items or tree.additional or tree.all_of else None


def _below(validations: Any, schema: Any) -> RuleTree | None:
    if not isinstance(validations, dict) or not isinstance(schema, dict):
        return None
    return _tree(validations, schema, bool(schema.get("x-kubernetes-embedded-resource")))


class RuleTree:
    """The rules of one place and of those below it."""

    __slots__ = ("additional", "all_of", "items", "keys", "list_type", "properties", "rules", "type")

    def __init__(self, schema: Schema, rules: list[Rule]) -> None:
        self.rules = rules
        self.type: str = schema.get("type") or ""
        self.list_type: str | None = schema.get("x-kubernetes-list-type")
        self.keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        self.properties: dict[str, RuleTree] = {}
        self.items: RuleTree | None = None
        self.additional: RuleTree | None = None
        self.all_of: list[RuleTree] = []

    def judge(self, value: Any, old: Any = None, path: str = "", correlated: Correlated | None = None, budget: int = BUDGET) -> Verdict:
        """`old` None: there is no old value. `correlated`: the update that may be ratcheted."""
        verdict = Verdict(budget=budget)
        try:
            self._judge(verdict, value, old, path, _Ratchet(correlated))
        except _Exhausted:
            verdict.budget = -1
        return verdict

    def _judge(self, verdict: Verdict, value: Any, old: Any, path: str, ratchet: _Ratchet) -> None:
        if value is None:
            return
        if self.rules:
            self._expressions(verdict, value, old, path, ratchet)
        for inner in self.all_of:
            inner._judge(verdict, value, old, path, _Ratchet(None, ratchet.parent))
        if isinstance(value, dict):
            self._members(verdict, value, old if isinstance(old, dict) else {}, path, ratchet)
        elif isinstance(value, list) and self.items is not None:
            known = by_keys(old, self.keys) if isinstance(old, list) and self.list_type == "map" else {}
            for i, item in enumerate(value):
                before = find_by_keys(known, item, self.keys) if known else None
                self.items._judge(verdict, item, before, f"{path}[{i}]", ratchet.index(i))

    def _members(self, verdict: Verdict, value: Schema, old: Schema, path: str, ratchet: _Ratchet) -> None:
        if self.additional is not None:
            for name, item in value.items():
                self.additional._judge(verdict, item, old.get(name), f"{path}[{name}]", ratchet.key(name))
        for name, inner in self.properties.items():
            if name in value:
                inner._judge(verdict, value[name], old.get(name), f"{path}.{name}" if path else name, ratchet.key(name))

    def _expressions(self, verdict: Verdict, value: Any, old: Any, path: str, ratchet: _Ratchet) -> None:
        at = path or "<nil>"
        if verdict.budget <= 0:
            verdict.errors.append(invalid(at, self.type, _NO_BUDGET))
            raise _Exhausted
        for rule in self.rules:
            if rule.error:
                verdict.errors.append(invalid(at, self.type, f"rule compile error: {rule.error}"))
                continue
            if rule.program is None or (rule.uses_old and old is None and not rule.optional_old):
                continue
            variables: dict[str, Any] = {"self": value}
            if old is not None or rule.optional_old:
                variables["oldSelf"] = old
            failure: EvaluationError | None = None
            try:
                holds, cost = rule.program.evaluate(variables, limit=PER_CALL_LIMIT)
            except EvaluationError as error:
                failure, holds, cost = error, False, error.cost
            if cost > verdict.budget:
                verdict.errors.append(invalid(at, self.type, _NO_BUDGET))
                raise _Exhausted
            verdict.budget -= cost
            if failure is not None:
                self._failed(verdict, failure, rule, at)
            elif holds is not True:
                self._broken(verdict, rule, value, variables, path, ratchet)

    def _failed(self, verdict: Verdict, failure: EvaluationError, rule: Rule, at: str) -> None:
        if isinstance(failure, CostExceeded):
            detail = f"'{failure}': no further validation rules will be run due to call cost exceeds limit for rule: {rule.shown}"
            verdict.errors.append(invalid(at, self.type, detail))
            raise _Exhausted
        detail = f"{failure} evaluating rule: {rule.shown}"
        if failure.message.startswith("no such overload"):
            detail = f"'{failure}': call arguments did not match a supported operator, function or macro signature for rule: {rule.shown}"
        verdict.errors.append(invalid(at, self.type, detail))

    def _broken(self, verdict: Verdict, rule: Rule, value: Any, variables: dict[str, Any], path: str, ratchet: _Ratchet) -> None:
        at = path
        if rule.path:
            at = f"{path}.{rule.path}" if path else rule.path
        at = at or "<nil>"
        detail = _message(verdict, rule, variables, at, self.type)
        shown = OMIT if self.type in ("object", "array") else value
        error = _error(rule.source.get("reason"), at, shown, detail)
        if not rule.uses_old and ratchet.lets_through():
            verdict.warnings.append(str(error))
        else:
            verdict.errors.append(error)


def _error(reason: str | None, path: str, value: Any, detail: str) -> FieldError:
    if reason == "FieldValueForbidden":
        return forbidden(path, detail)
    if reason == "FieldValueRequired":
        return required(path, detail)
    return duplicate(path, value) if reason == "FieldValueDuplicate" else invalid(path, value, detail)


def _message(verdict: Verdict, rule: Rule, variables: dict[str, Any], at: str, sort: str) -> str:
    """What is said of a broken rule: of its messageExpression where that gives something to say."""
    given = rule.source.get("message")
    usual = str(given).strip() if given else f"failed rule: {rule.shown}"
    if rule.message is None:
        return usual
    try:
        text, cost = rule.message.evaluate(variables, limit=PER_CALL_LIMIT)
    except CostExceeded as error:
        _charge(verdict, error.cost, at, sort)
        expression = quote(rule.source["messageExpression"])
        detail = f"no further validation rules will be run due to call cost exceeds limit for messageExpression: {expression}"
        verdict.errors.append(invalid(at, sort, detail))
        raise _Exhausted from None
    except EvaluationError as error:
        _charge(verdict, error.cost, at, sort)
        return usual
    _charge(verdict, cost, at, sort)
    text = text.strip() if isinstance(text, str) else ""
    return usual if not text or "\n" in text or len(text.encode()) > _MESSAGE_LIMIT else text


def _charge(verdict: Verdict, cost: int, at: str, sort: str) -> None:
    if cost > verdict.budget:
        detail = "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run"
        verdict.errors.append(invalid(at, sort, detail))
        raise _Exhausted
    verdict.budget -= cost
