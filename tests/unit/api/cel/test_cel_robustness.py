"""Whatever is written, and whatever is in the data: an expression is refused, fails, or gives an answer within its limit."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kubetree.api.cel import DYN, CompileError, Environment, EvaluationError, schema_type

_WRITTEN = """
self . x ( ) [ ] { } , : ? ! - + * / % == != < >= && || in true null 1 2.5 3u 'a' b'c' r'\\d' '''q''' has all exists map filter
size matches optional of value dyn int string type duration timestamp 0x1 ` \\ @ é .? [?
"""
_TOKENS = st.sampled_from(_WRITTEN.split())
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text("ab1", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "1"]), inner, max_size=3),
    max_leaves=8,
)
_OPERANDS = (
    "self",
    "self.a",
    "self.b",
    "self[0]",
    "self.?a",
    "1",
    "'a'",
    "2.5",
    "[1, 2]",
    "{'a': 1}",
    "null",
    "true",
    "duration('1s')",
    "3u",
)
_SHAPES = (
    "{0} + {1}",
    "{0} - {1}",
    "{0} == {1}",
    "{0} < {1}",
    "{0} in {1}",
    "{0} && {1}",
    "!{0}",
    "-{0}",
    "has(self.a) ? {0} : {1}",
    "size({0})",
    "string({0})",
    "int({0})",
    "{0}.all(x, x == {1})",
    "{0}.map(x, x)",
    "{0}.exists_one(x, {1})",
    "{0}[{1}]",
    "{0}.sort()",
    "{0}.max()",
    "{0}.matches({1})",
    "{0}.startsWith({1})",
    "'%s %d'.format([{0}, {1}])",
    "{0}.orValue({1})",
    "optional.ofNonZeroValue({0})",
    "quantity({0}).isGreaterThan(quantity({1}))",
    "{0}.split({1})",
    "sets.intersects({0}, {1})",
    "dyn({0}) == dyn({1})",
    "type({0}) == type({1})",
)


@settings(max_examples=300)
@given(st.lists(_TOKENS, max_size=14).map(" ".join))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    try:
        Environment({"self": DYN, "x": DYN}).compile(text)
    except CompileError as error:
        assert error.issues and str(error)


@settings(max_examples=300)
@given(st.sampled_from(_SHAPES), st.sampled_from(_SHAPES), st.lists(st.sampled_from(_OPERANDS), min_size=3, max_size=3), _JSON)
def test_any_data_gives_an_answer_or_a_failure(outer: str, inner: str, operands: list[str], data: Any) -> None:
    expression = outer.format(f"({inner.format(operands[0], operands[1])})", operands[2])
    try:
        program = Environment({"self": DYN}).compile(expression)
    except CompileError:
        return
    least, most = program.estimate()
    assert 0 <= least <= most
    try:
        _, cost = program.evaluate({"self": data}, limit=10_000)
    except EvaluationError as error:
        assert error.message
    else:
        assert 0 <= cost <= 10_000


_RULES = st.sampled_from(
    [
        "self.l.all(x, x.startsWith('a'))",
        "self.l.map(x, x + self.s).exists(y, y.contains('b'))",
        "self.s.matches('^a+$') || self.s == self.l[0]",
        "self.l.all(x, self.l.exists_one(y, y == x))",
        "self.m.all(k, self.m[k].size() < 3)",
        "self.l == self.l && self.m == self.m",
        "self.s.replace('a', 'bb').size() > 3",
        "self.l.join(',').split(',').size() == self.l.size()",
    ]
)
_WORDS = st.text("ab", max_size=6)
_SCHEMA = {
    "type": "object",
    "properties": {
        "s": {"type": "string", "maxLength": 6},
        "l": {"type": "array", "maxItems": 4, "items": {"type": "string", "maxLength": 6}},
        "m": {"type": "object", "maxProperties": 3, "additionalProperties": {"type": "string", "maxLength": 6}},
    },
}


@given(_RULES, _WORDS, st.lists(_WORDS, min_size=1, max_size=4), st.dictionaries(_WORDS, _WORDS, max_size=3))
def test_no_evaluation_costs_more_than_was_estimated(rule: str, s: str, items: list[str], entries: dict[str, str]) -> None:
    t = schema_type(_SCHEMA, resource_root=False)
    assert t is not None
    program = Environment({"self": t}).compile(rule)
    _, cost = program.evaluate({"self": {"s": s, "l": items, "m": entries}})
    assert cost <= program.estimate()[1]
