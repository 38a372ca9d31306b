"""Go's regular expressions: what is refused and how, what matches, and that nothing takes long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.api import go_regex
from kubetree.api.go_regex import Regex, compiled


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("[", "missing closing ]: `[`"),
        ("a[b", "missing closing ]: `[b`"),
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("(a{500}){3}", "invalid repeat count: `{3}`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\q", r"invalid escape sequence: `\q`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        (r"\p{Foo}", r"invalid character class range: `\p{Foo}`"),
    ],
)
def test_what_go_refuses_is_refused_in_its_words(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        Regex(pattern)
    assert str(caught.value) == f"error parsing regexp: {reason}"


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a$", "a\n", []),
        ("(?m)a$", "a\n", ["a"]),
        (r"\d+", "12 ٣", ["12"]),
        (r"\w+", "né", ["n"]),
        (r"\s", "\v ", [" "]),
        (r"\B", "", [""]),
        ("(?i)k", "k\u212a", ["k", "\u212a"]),
        ("(?i:b)B", "bB", ["bB"]),
        ("(?U)a+", "aa", ["a", "a"]),
        (r"[\d-]+", "1-2", ["1-2"]),
        ("[]a]+", "a]", ["a]"]),
        (r"\Qa.b\E", "axb a.b", ["a.b"]),
        (r"\p{Lu}", "aÉb", ["É"]),
        (r"[[:^alpha:]]", "a1", ["1"]),
        ("a{,2}", "a{,2}", ["a{,2}"]),
        (r"\x{263a}", "☺", ["☺"]),
        ("a|ab", "ab", ["a"]),
        ("[0-9]*", "123 4", ["123", "4"]),
        ("((a)*?)*", "ba", ["", "", ""]),
        (".", "\n", []),
        ("(?s).", "\n", ["\n"]),
    ],
)
def test_matches_are_those_of_go(pattern: str, text: str, matches: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert Regex(pattern).find_all(text) == matches
    assert Regex(pattern).found(text) is bool(matches)
    monkeypatch.setattr(go_regex, "MOST_STEPS", 0)
    assert Regex(pattern).find_all(text) == matches
    assert Regex(pattern).found(text) is bool(matches)


def test_find_all_stops_at_a_limit() -> None:
    assert compiled("[0-9]").find_all("1234", 2) == ["1", "2"]
    assert compiled("[0-9]").find_all("1234", 0) == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+$", "a" * 50_000 + "b"),
        ("(a|a)*b", "a" * 50_000),
        (".*.*.*=", "a" * 50_000),
        ("(a|ab)(c|bcd)*d{1,20}e", "ab" * 20_000),
        ("a.*b", "a" * 50_000),
    ],
)
def test_what_would_backtrack_for_ever_does_not(pattern: str, text: str) -> None:
    """With backtracking each of these would outlast the suite's time limit."""
    assert compiled(pattern).found(text) is False
    assert compiled(pattern).find(text) is None


_PIECES = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "(a|b)", "(ab|a)", "a*", "b+", "(ab)?", "a{1,2}", r"\b", "^", "$", "b*?"])


@given(st.lists(_PIECES, max_size=6).map("".join), st.text("ab \n", max_size=12))
def test_both_engines_agree(pattern: str, text: str) -> None:
    regex = Regex(pattern)
    slow = regex._slow()
    match = regex._python.search(text)
    assert slow.found(text) is (match is not None)
    assert slow.find(text) == (None if match is None else match.span())
