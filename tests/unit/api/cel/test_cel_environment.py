"""The interface that the other rooms use: compile, estimate, evaluate, and what each raises."""

from __future__ import annotations

import pytest

from kubetree.api.cel import (
    BOOL,
    DYN,
    INT,
    STRING,
    CompileError,
    CostExceeded,
    Environment,
    EvaluationError,
    ProgramError,
    optional_of,
    schema_type,
)

SELF = {"type": "object", "properties": {"replicas": {"type": "integer"}, "names": {"type": "array", "items": {"type": "string"}}}}


def test_a_rule_over_a_schema_gives_its_answer_and_its_cost() -> None:
    t = schema_type(SELF, resource_root=True)
    assert t is not None
    program = Environment({"self": t}).compile("self.replicas <= 5 && self.names.all(n, n.startsWith('a'))", BOOL)
    assert program.references == {"self"}
    assert program.evaluate({"self": {"replicas": 3, "names": ["ab", "ac"]}}, limit=1000) == (True, 16)


def test_an_expression_of_another_type_than_expected_is_refused() -> None:
    with pytest.raises(CompileError, match="must evaluate to bool"):
        Environment({}).compile("1 + 1", BOOL)
    assert Environment({}).compile("1 + 1", (BOOL, INT)).result_type == INT


def test_compile_errors_show_the_place() -> None:
    with pytest.raises(CompileError) as caught:
        Environment({"self": DYN}).compile("self.x +\n  wrong.y")
    assert str(caught.value) == "ERROR: <input>:2:3: undeclared reference to 'wrong' (in container '')\n |   wrong.y\n | ..^"
    (issue,) = caught.value.issues
    assert (issue.line, issue.column, issue.message) == (2, 2, "undeclared reference to 'wrong' (in container '')")


def test_a_constant_that_cannot_be_converted_fails_when_the_program_is_made() -> None:
    with pytest.raises(ProgramError, match=r"^type conversion error from 'string' to 'int'$"):
        Environment({}).compile("int('x') > 1")


def test_failures_carry_what_was_spent() -> None:
    program = Environment({"self": DYN}).compile("self.a == 'x' && self.b == 'y'")
    with pytest.raises(EvaluationError, match=r"^no such key: b$") as caught:
        program.evaluate({"self": {"a": "x"}}, limit=1000)
    assert caught.value.cost == 6


def test_the_limit_ends_an_evaluation_also_within_a_loop() -> None:
    program = Environment({"self": DYN}).compile("self.all(x, self.all(y, self.all(z, z > 0)))")
    with pytest.raises(CostExceeded, match=r"^operation cancelled: actual cost limit exceeded$"):
        program.evaluate({"self": [1] * 1000}, limit=10_000)


def test_a_failure_does_not_hide_that_the_limit_was_passed() -> None:
    program = Environment({"self": DYN}).compile("self.nope || self.all(x, x > 0)")
    with pytest.raises(CostExceeded):
        program.evaluate({"self": {"a": 1}}, limit=1)


def test_variables_that_are_not_given_fail_only_where_they_are_read() -> None:
    program = Environment({"params": DYN, "self": DYN}).compile("self.a || params.b")
    assert program.evaluate({"self": {"a": True}}, limit=100) == (True, 2)
    with pytest.raises(EvaluationError, match=r"^no such attribute\(s\): params$"):
        program.evaluate({"self": {"a": False}}, limit=100)


def test_an_optional_variable_is_none_for_none() -> None:
    program = Environment({"oldSelf": optional_of(STRING)}).compile("oldSelf.orValue('new')")
    assert program.evaluate({"oldSelf": None}, limit=100)[0] == "new"
    assert program.evaluate({"oldSelf": "old"}, limit=100)[0] == "old"


def test_extend_adds_variables_and_replaces_them() -> None:
    base = Environment({"a": INT})
    assert base.extend({"b": STRING}).compile("string(a) + b").evaluate({"a": 1, "b": "x"}, limit=100)[0] == "1x"
    assert base.extend({"a": STRING}).compile("a").result_type == STRING
    with pytest.raises(CompileError):
        base.compile("b")


def test_a_mapping_that_computes_is_asked_only_for_what_is_read() -> None:
    asked: list[str] = []

    class Lazy(dict[str, object]):
        def __missing__(self, key: str) -> object:
            asked.append(key)
            return {"one": 1}[key]

    program = Environment({"variables": DYN}).compile("variables.one == 1 || variables.two == 2")
    assert program.evaluate({"variables": Lazy()}, limit=100)[0] is True
    assert asked == ["one"]


def test_the_estimate_bounds_sizes_by_the_schema() -> None:
    bounded = {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 5}}
    t = schema_type({"type": "object", "properties": {"l": bounded}}, resource_root=False)
    assert t is not None
    assert Environment({"self": t}).compile("self.l.all(x, x.size() < 5)").estimate() == (3, 63)


def test_estimates_take_every_path_to_start_at_self() -> None:
    """As upstream's: `int` is a path too, thus as large as the root, which is 0 for an object."""
    of_type = schema_type({"type": "object", "properties": {"port": {"x-kubernetes-int-or-string": True}}}, resource_root=False)
    assert of_type is not None
    assert Environment({"self": of_type}).compile("type(self.port) == int").estimate() == (4, 4)


def test_checking_does_not_plan() -> None:
    environment = Environment({})
    assert environment.check("int('x') > 1") == BOOL
    with pytest.raises(ProgramError):
        environment.compile("int('x') > 1")
    with pytest.raises(CompileError, match="undeclared reference to 'x'"):
        environment.check("x")
