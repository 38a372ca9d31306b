"""Tables of expressions with what upstream's compiler and evaluator make of them: the answer or the failure, the type, the cost, the
estimate, or why it is refused. One JSON object a line; the notation of values is that of `show`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from kubetree.api.cel import CompileError, Environment, EvaluationError, ProgramError, Type, schema_type
from kubetree.api.cel.functions.authorization import AUTHORIZER, Check, ServiceAccount, Verdict, authorizer_value
from kubetree.api.cel.functions.quantities import QuantityValue
from kubetree.api.cel.numbers import UInt
from kubetree.api.cel.types import describe
from kubetree.api.cel.values import NONE, Duration, Optional, Timestamp, TypedList, TypedMap

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "schema.json").read_text())


def rows(name: str) -> list[Any]:
    lines = (HERE / f"{name}.jsonl").read_text().splitlines()
    return [pytest.param(row, id=row["expression"]) for row in map(json.loads, lines)]


def show(value: Any) -> str:
    """`5u` is unsigned, `d1.5e+00` (with all digits) a double, `b6162` bytes, `<name>` a library's own value."""
    if value is None or isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, UInt):
        return f"{int(value)}u"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf" if math.isinf(value) else f"d{value:.17e}"
    if isinstance(value, bytes):
        return f"b{value.hex()}"
    if isinstance(value, Duration):
        return f"duration({value.nanos})"
    if isinstance(value, Timestamp):
        return f"timestamp({value.nanos // 10**9}.{value.nanos % 10**9:09d})"
    if isinstance(value, Type):
        return f"type({value.name})"
    if isinstance(value, Optional):
        return "optional.none" if value is NONE else f"optional({show(value.value)})"
    if isinstance(value, list | TypedList):
        return f"[{', '.join(map(show, value))}]"
    if isinstance(value, dict | TypedMap):
        return f"{{{', '.join(sorted(f'{show(key)}: {show(value[key])}' for key in value))}}}"
    return f"quantity({value})" if isinstance(value, QuantityValue) else f"<{value.cel_type.name}>"


def outcome(expression: str, types: dict[str, Type], values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"expression": expression}
    try:
        program = Environment(types).compile(expression)
    except ProgramError as error:
        return {**found, "unplanned": str(error)}
    except CompileError as error:
        return {**found, "refused": str(error)}
    found["type"] = describe(program.result_type)
    found["estimate"] = list(program.estimate())
    try:
        value, found["cost"] = program.evaluate(values)
    except EvaluationError as error:
        return {**found, "cost": error.cost, "error": str(error)}
    return {**found, "result": show(value)}


@pytest.mark.parametrize("row", rows("language"))
def test_language(row: dict[str, Any]) -> None:
    assert outcome(row["expression"], {}, {}) == row


@pytest.mark.parametrize("row", rows("libraries"))
def test_libraries(row: dict[str, Any]) -> None:
    assert outcome(row["expression"], {}, {}) == row


@pytest.mark.parametrize("row", rows("syntax"))
def test_syntax(row: dict[str, Any]) -> None:
    assert outcome(row["expression"], {}, {}) == row


@pytest.mark.parametrize("row", rows("schemas"))
def test_values_of_schemas(row: dict[str, Any]) -> None:
    t = schema_type(SCHEMA["schema"], resource_root=False)
    assert t is not None
    assert outcome(row["expression"], {"self": t}, {"self": SCHEMA["value"]}) == row


@pytest.mark.parametrize("row", rows("authorization"))
def test_authorization(row: dict[str, Any]) -> None:
    assert outcome(row["expression"], {"authorizer": AUTHORIZER}, {"authorizer": authorizer_value("alice", _authorize)}) == row


def _authorize(check: Check) -> Verdict:
    """Anyone may get; to ask for `err` fails."""
    who = f"system:serviceaccount:{check.user.namespace}:{check.user.name}" if isinstance(check.user, ServiceAccount) else check.user
    if check.verb == "get":
        what = f"{check.resource}/{check.subresource} {check.namespace}/{check.name} {check.path}"
        return Verdict(True, f"because {who} {what}")
    return Verdict(False, "", "failed check") if check.verb == "err" else Verdict(False, "no")
