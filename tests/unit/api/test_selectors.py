"""Selectors: the grammar, what matches, and the wording of refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.api.selectors import (
    Selector,
    label_selector,
    node_selector,
    node_selector_matches,
    parse_field_selector,
    parse_label_selector,
    requirement,
)

KEYS = st.sampled_from(["a", "b", "app", "x.io/y"])
VALUES = st.sampled_from(["", "1", "2", "web", "10"])
LABELS = st.dictionaries(KEYS, VALUES)


@st.composite
def requirements(draw):
    operator = draw(st.sampled_from(["=", "==", "!=", "in", "notin", "exists", "!", "gt", "lt"]))
    if operator in ("exists", "!"):
        values = []
    elif operator in ("in", "notin"):
        values = draw(st.lists(VALUES, min_size=1, max_size=3, unique=True))
    elif operator in ("gt", "lt"):
        values = [str(draw(st.integers(0, 12)))]
    else:
        values = [draw(VALUES)]
    return requirement(draw(KEYS), operator, values)


SELECTORS = st.lists(requirements(), max_size=4).map(lambda rs: Selector(tuple(sorted(rs, key=lambda r: r.key))))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a=b,c in (x,y),!d", "a=b,c in (x,y),!d"),
        ("x in (foo,,baz),y,z notin ()", "x in (,baz,foo),y,z notin ()"),
        (" a = b ", "a=b"),
        ("b,a", "a,b"),
        ("a=", "a="),
        ("in in (in)", "in in (in)"),
        ("a>1,b<2", "a>1,b<2"),
        ("", ""),
    ],
)
def test_label_selectors_are_read_and_written(text: str, written: str) -> None:
    assert str(parse_label_selector(text)) == written


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a==b,", "found '', expected: identifier after ','"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("=x", "found '=', expected: !, identifier, or 'end of string'"),
        ("_a=b", 'unable to parse requirement: <nil>: Invalid value: "_a": name part must consist of'),
        ("a=_b", 'unable to parse requirement: values[0][a]: Invalid value: "_b": a valid label must be'),
        ("a>b", "for 'Gt', 'Lt' operators, the value must be an integer"),
    ],
)
def test_bad_label_selectors_are_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_label_selector(text)
    assert why in str(refused.value)


def test_none_selects_nothing_and_empty_everything() -> None:
    assert not label_selector(None).matches({}) and not label_selector(None).empty
    assert label_selector({}).matches({"a": "b"}) and label_selector({}).empty


def test_metav1_label_selectors() -> None:
    selector = label_selector({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["x"]}]})
    assert selector.matches({"a": "b"}) and not selector.matches({"a": "b", "c": "x"})
    assert str(selector) == "a=b,c notin (x)"
    with pytest.raises(ValueError, match='"Gt" is not a valid label selector operator'):
        label_selector({"matchExpressions": [{"key": "c", "operator": "Gt", "values": ["1"]}]})


@given(SELECTORS)
def test_what_is_written_reads_back_the_same(selector: Selector) -> None:
    assert parse_label_selector(str(selector)) == selector


@given(SELECTORS, LABELS)
def test_a_selector_matches_when_every_requirement_does(selector: Selector, labels: dict[str, str]) -> None:
    assert selector.matches(labels) == all(r.matches(labels) for r in selector.requirements)


@given(KEYS, st.lists(VALUES, min_size=1, unique=True), LABELS)
def test_notin_is_the_opposite_of_in(key: str, values: list[str], labels: dict[str, str]) -> None:
    assert requirement(key, "in", values).matches(labels) is not requirement(key, "notin", values).matches(labels)


def test_field_selectors() -> None:
    selector = parse_field_selector(r"spec.nodeName!=a,metadata.name==x\,y")
    assert [(r.key, r.operator, r.value) for r in selector.requirements] == [("metadata.name", "=", "x,y"), ("spec.nodeName", "!=", "a")]
    assert selector.matches({"metadata.name": "x,y"}) and not selector.matches({"metadata.name": "x,y", "spec.nodeName": "a"})
    assert parse_field_selector("").empty


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        (r"a=b\x", "invalid field selector: invalid escape sequence: \\x"),
    ],
)
def test_bad_field_selectors_are_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_field_selector(text)
    assert str(refused.value) == why


@given(st.text(max_size=6))
def test_any_value_of_a_field_can_be_escaped(value: str) -> None:
    from kubetree.api.selectors import FieldRequirement

    (found,) = parse_field_selector(str(FieldRequirement("a", "=", value))).requirements
    assert found.value == value


def test_node_selectors() -> None:
    node = {"metadata": {"name": "n1", "labels": {"cpus": "8", "zone": "a"}}}

    def term(**kw):
        return {"nodeSelectorTerms": [kw]}

    assert node_selector_matches(term(matchExpressions=[{"key": "cpus", "operator": "Gt", "values": ["4"]}]), node)
    assert not node_selector_matches(term(matchExpressions=[{"key": "cpus", "operator": "Lt", "values": ["4"]}]), node)
    assert node_selector_matches(term(matchFields=[{"key": "metadata.name", "operator": "In", "values": ["n1"]}]), node)
    assert not node_selector_matches(term(), node), "an empty term selects nothing"
    assert node_selector_matches(None, node)
    assert node_selector(term(matchExpressions=[{"key": "a", "operator": "Near"}])).faults
