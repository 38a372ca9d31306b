"""`x-kubernetes-validations` of one place in a schema, compiled: each rule's program, message and cost. Words of apiextensions' cel package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubetree.api.cel import BOOL, STRING, CompileError, Environment, Program, ProgramError, Type, optional_of
from kubetree.api.custom_resources.field_paths import field_path

Schema = dict[str, Any]
MAX_REQUEST = 3 * 1024 * 1024
MOST = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Rule:
    """`program` None: the rule is empty, or `error` says why it cannot be. `path`: where errors are told, relative to the value."""

    source: Schema
    program: Program | None = None
    error: str = ""
    message: Program | None = None
    message_error: str = ""
    uses_old: bool = False
    path: str = ""
    cost: int = 0
    message_cost: int = 0

    @property
    def shown(self) -> str:
        """How errors name the rule."""
        return str(self.source.get("message") or self.source.get("rule") or "").strip()

    @property
    def optional_old(self) -> bool:
        return bool(self.source.get("optionalOldSelf"))


def compile_rules(rules: Sequence[Schema], schema: Schema, of_type: Type) -> list[Rule]:
    """`schema` and `of_type` are of the values that the rules judge."""
    plain = Environment({"self": of_type, "oldSelf": of_type})
    optional = Environment({"self": of_type, "oldSelf": optional_of(of_type)})
    return [_compiled(rule, schema, optional if rule.get("optionalOldSelf") else plain) for rule in rules]


def most_values(of_type: Type) -> int:
    """How many values of a type a request has room for."""
    return int(MAX_REQUEST // (of_type.min_size + 1))


def _compiled(rule: Schema, schema: Schema, environment: Environment) -> Rule:
    text, expression = rule.get("rule") or "", rule.get("messageExpression") or ""
    if not text.strip():
        return Rule(rule)
    try:
        program = environment.compile(text)
    except ProgramError as error:
        return Rule(rule, error=f"program instantiation failed: {error}")
    except CompileError as error:
        return Rule(rule, error=f"compilation failed: {error}")
    if program.result_type != BOOL:
        return Rule(rule, error="cel expression must evaluate to a bool")
    uses_old = "oldSelf" in program.references
    cost = program.estimate()[1]
    message: Program | None = None
    message_cost = 0
    if expression:
        try:
            message = environment.compile(expression)
        except ProgramError as error:
            return Rule(rule, program, message_error=f"messageExpression instantiation failed: {error}", uses_old=uses_old, cost=cost)
        except CompileError as error:
            return Rule(rule, program, message_error=f"messageExpression compilation failed: {error}", uses_old=uses_old, cost=cost)
        if message.result_type != STRING:
            return Rule(rule, program, message_error="messageExpression must evaluate to a string", uses_old=uses_old, cost=cost)
        message_cost = message.estimate()[1]
    return Rule(rule, program, "", message, "", uses_old, _path(rule, schema), cost, message_cost)


def _path(rule: Schema, schema: Schema) -> str:
    text = rule.get("fieldPath")
    if not text:
        return ""
    try:
        return field_path(text, schema)[0]
    except ValueError:
        return ""
