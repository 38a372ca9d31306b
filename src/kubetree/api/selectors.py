"""Selectors, parsed once and matched often: label selectors, field selectors and node selectors.

Follows k8s.io/apimachinery/pkg/labels, pkg/fields and component-helpers' nodeaffinity: grammar, meaning and wording of refusals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from kubetree.api.label_syntax import label_key_errors, label_value_errors

_BINARY = "in, notin, =, ==, !=, gt, lt"
_METAV1_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_NODE_OPERATORS = _METAV1_OPERATORS | {"Gt": "gt", "Lt": "lt"}
_SIGNS = {"gt": ">", "lt": "<"}
_TOKENS = {">": "gt", "<": "lt", "=": "=", "==": "==", "!=": "!=", "in": "in", "notin": "notin"}
_INT = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class Requirement:
    """`operator` is one of =, ==, !=, in, notin, exists, !, gt, lt. `values` are sorted."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        operator = self.operator
        if operator in ("=", "==", "in"):
            return value in self.values if value is not None else False
        if operator in ("!=", "notin"):
            return value is None or value not in self.values
        if operator == "exists":
            return value is not None
        if operator == "!":
            return value is None
        left, right = _int64(value), _int64(self.values[0])
        if left is None or right is None:
            return False
        return left > right if operator == "gt" else left < right

    def __str__(self) -> str:
        if self.operator in ("exists", "!"):
            return f"!{self.key}" if self.operator == "!" else self.key
        values = ",".join(self.values)
        if self.operator in ("in", "notin"):
            return f"{self.key} {self.operator} ({values})"
        return f"{self.key}{_SIGNS.get(self.operator, self.operator)}{values}"


def _int64(text: str | None) -> int | None:
    if text is None or not _INT.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def requirement(key: str, operator: str, values: Iterable[str] = (), path: str = "") -> Requirement:
    """A checked Requirement. Raises ValueError naming everything wrong; `path` is the field path that messages begin with."""
    chosen = tuple(sorted(values))
    at = f"{path}." if path else ""
    found = [f"{at}key: Invalid value: {_quoted(key)}: {'; '.join(e)}"] if (e := label_key_errors(key)) else []
    why = _wrong_count(operator, len(chosen))
    if why:
        found.append(f"{at}values: Invalid value: [{','.join(map(_quoted, chosen))}]: {why}")
    for i, value in enumerate(chosen):
        if operator in ("gt", "lt") and _int64(value) is None:
            found.append(f"{at}values[{i}]: Invalid value: {_quoted(value)}: for 'Gt', 'Lt' operators, the value must be an integer")
        if e := label_value_errors(value):
            found.append(f"{at}values[{i}][{key}]: Invalid value: {_quoted(value)}: {'; '.join(e)}")
    if found:
        raise ValueError(found[0] if len(found) == 1 else f"[{', '.join(found)}]")
    return Requirement(key, operator, chosen)


def _wrong_count(operator: str, count: int) -> str:
    if operator in ("in", "notin"):
        return "" if count else "for 'in', 'notin' operators, values set can't be empty"
    if operator in ("exists", "!"):
        return "values set must be empty for exists and does not exist" if count else ""
    if operator in ("gt", "lt"):
        return "" if count == 1 else "for 'Gt', 'Lt' operators, exactly one value is required"
    return "" if count == 1 else "exact-match compatibility requires one single value"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class Selector:
    """Label requirements that must all hold. `nothing` selects nothing, whatever they say."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False
    _exact: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)
    _others: tuple[Requirement, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        exact = [r for r in self.requirements if r.operator in ("=", "==", "in") and len(r.values) == 1]
        object.__setattr__(self, "_exact", tuple((r.key, r.values[0]) for r in exact))
        object.__setattr__(self, "_others", tuple(r for r in self.requirements if r not in exact))

    @property
    def empty(self) -> bool:
        """True when it restricts nothing: it selects everything."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.nothing:
            return False
        for key, value in self._exact:
            if labels.get(key) != value:
                return False
        return not self._others or all(r.matches(labels) for r in self._others)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def _sorted(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    return tuple(sorted(requirements, key=lambda r: r.key))


def label_selector(selector: Mapping[str, Any] | None) -> Selector:
    """A metav1.LabelSelector: None selects nothing, {} everything. Raises ValueError with upstream's wording."""
    if selector is None:
        return NOTHING
    found = [requirement(key, "=", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _METAV1_OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise ValueError(f"{_quoted(expression.get('operator', ''))} is not a valid label selector operator")
        found.append(requirement(expression.get("key", ""), operator, expression.get("values") or ()))
    return Selector(_sorted(found)) if found else EVERYTHING


_TOKEN = re.compile(r"[ \t\r\n]*(?:(?P<symbol>!=|==|[=!(),<>])|(?P<word>[^ \t\r\n=!(),<>]+))")


def _scan(text: str) -> list[str]:
    tokens, position, end = [], 0, len(text.rstrip(" \t\r\n"))
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:  # pragma: no cover - every character begins a token
            raise ValueError(f"found '{text[position:]}', expected: !, identifier, or 'end of string'")
        tokens.append(match["symbol"] or match["word"])
        position = match.end()
    return tokens


_SYMBOLS = frozenset(("!=", "==", "=", "!", "(", ")", ",", "<", ">"))


class _LabelParser:
    """Recursive descent over the tokens; '' stands for the end of the string."""

    def __init__(self, text: str) -> None:
        self._tokens = _scan(text)
        self._position = 0

    def _peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._position += 1
        return token

    def parse(self) -> list[Requirement]:
        found: list[Requirement] = []
        while token := self._peek():
            if token in _SYMBOLS and token != "!":
                raise ValueError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from None
            end = self._next()
            if not end:
                break
            if end != ",":
                raise ValueError(f"found '{end}', expected: ',' or 'end of string'")
            following = self._peek()
            if not following or (following in _SYMBOLS and following != "!"):
                raise ValueError(f"found '{following}', expected: identifier after ','")
        return found

    def _requirement(self) -> Requirement:
        key = self._next()
        absent = key == "!"
        if absent:
            key = self._next()
        if not key or key in _SYMBOLS:
            raise ValueError(f"found '{key}', expected: identifier")
        if why := label_key_errors(key):
            raise ValueError(f"<nil>: Invalid value: {_quoted(key)}: {'; '.join(why)}")
        if absent:
            return Requirement(key, "!")
        if self._peek() in ("", ","):
            return Requirement(key, "exists")
        token = self._next()
        operator = _TOKENS.get(token)
        if operator is None:
            raise ValueError(f"found '{token}', expected: {_BINARY}")
        values = self._values() if operator in ("in", "notin") else {self._exact_value()}
        return requirement(key, operator, values)

    def _exact_value(self) -> str:
        if self._peek() in ("", ","):
            return ""
        token = self._next()
        if token in _SYMBOLS:
            raise ValueError(f"found '{token}', expected: identifier")
        return token

    def _values(self) -> set[str]:
        opening = self._next()
        if opening != "(":
            raise ValueError(f"found '{opening}' expected: '('")
        values, pending = set(), True
        while (token := self._next()) != ")":
            if token == ",":
                if pending:
                    values.add("")
                pending = True
            elif not token or token in _SYMBOLS:
                raise ValueError(
                    f"found '{token}', expected: ',', or identifier" if values else f"found '{token}', expected: ',', ')' or identifier"
                )
            elif not pending:
                raise ValueError(f"found '{token}', expected: ',' or ')'")
            else:
                values.add(token)
                pending = False
        if pending:
            values.add("")
        return values


@lru_cache(maxsize=1024)
def parse_label_selector(text: str) -> Selector:
    """`a=b,c in (x,y),!d` as in a `labelSelector` parameter. Raises ValueError with upstream's wording."""
    found = _LabelParser(text).parse()
    return Selector(_sorted(found)) if found else EVERYTHING


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """`operator` is = or != (== is read as =)."""

    key: str
    operator: str
    value: str

    def matches(self, fields: Mapping[str, str]) -> bool:
        return (fields.get(self.key, "") == self.value) is (self.operator == "=")

    def __str__(self) -> str:
        return f"{self.key}{self.operator}{_escaped(self.value)}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Field requirements that must all hold; a field that is not there counts as ''."""

    requirements: tuple[FieldRequirement, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.requirements

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all(r.matches(fields) for r in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _unescaped(value: str) -> str:
    if not any(c in value for c in "\\,="):
        return value
    out, rest = [], iter(value)
    for c in rest:
        if c == "\\":
            escaped = next(rest, "")
            if escaped not in ("\\", ",", "="):
                raise ValueError(f"invalid field selector: invalid escape sequence: \\{escaped}")
            out.append(escaped)
        elif c in ",=":
            raise ValueError(f"invalid field selector: unescaped character in value: {ord(c)}")
        else:
            out.append(c)
    return "".join(out)


_TERMS = re.compile(r"(?:\\.|[^,\\]|\\$)+", re.DOTALL)
_TERM = re.compile(r"(.*?)(!=|==|=)(.*)", re.DOTALL)


@lru_cache(maxsize=1024)
def parse_field_selector(text: str) -> FieldSelector:
    """`metadata.name=a,spec.nodeName!=b` as in a `fieldSelector` parameter. Raises ValueError with upstream's wording."""
    found = []
    for part in sorted(_TERMS.findall(text)):
        match = _TERM.fullmatch(part)
        if match is None:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{part}'")
        key, operator, value = match.groups()
        found.append(FieldRequirement(key, "!=" if operator == "!=" else "=", _unescaped(value)))
    return FieldSelector(tuple(found))


@dataclass(frozen=True, slots=True)
class NodeSelectorTerm:
    """One term: all its label requirements and all its field requirements (`metadata.name`) must hold."""

    labels: Selector = EVERYTHING
    fields: FieldSelector = FieldSelector()

    def matches(self, labels: Mapping[str, str], fields: Mapping[str, str]) -> bool:
        return self.labels.matches(labels) and self.fields.matches(fields)


def node_selector_term(term: Mapping[str, Any]) -> NodeSelectorTerm | None:
    """A v1.NodeSelectorTerm; None for an empty one, which selects no node. Raises ValueError for what cannot be read."""
    expressions: Sequence[Mapping[str, Any]] = term.get("matchExpressions") or ()
    field_expressions: Sequence[Mapping[str, Any]] = term.get("matchFields") or ()
    if not expressions and not field_expressions:
        return None
    found = []
    for expression in expressions:
        operator = _NODE_OPERATORS.get(expression["operator"])
        if operator is None:
            raise ValueError(f"{_quoted(expression['operator'])} is not a valid node selector operator")
        found.append(requirement(expression["key"], operator, expression.get("values") or ()))
    fields = []
    for expression in field_expressions:
        operator = {"In": "=", "NotIn": "!="}.get(expression["operator"])
        values: Sequence[str] = expression.get("values") or ()
        if operator is None:
            raise ValueError(f"{_quoted(expression['operator'])} is not a valid node field selector operator")
        if len(values) != 1:
            raise ValueError(f"values: Invalid value: [{','.join(map(_quoted, values))}]: must have one element")
        fields.append(FieldRequirement(expression["key"], operator, values[0]))
    return NodeSelectorTerm(Selector(_sorted(found)), FieldSelector(tuple(fields)))


@dataclass(frozen=True, slots=True)
class NodeSelector:
    """A v1.NodeSelector: one term must match. A term that cannot be read (`faults`) matches no node."""

    terms: tuple[NodeSelectorTerm, ...] = ()
    faults: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str], fields: Mapping[str, str]) -> bool:
        return any(term.matches(labels, fields) for term in self.terms)


def node_selector(selector: Mapping[str, Any]) -> NodeSelector:
    """Parses a v1.NodeSelector; never raises, as upstream reports faults only where no term matches."""
    terms, faults = [], []
    for term in selector.get("nodeSelectorTerms") or ():
        try:
            parsed = node_selector_term(term)
        except ValueError as error:
            faults.append(str(error))
        else:
            if parsed is not None:
                terms.append(parsed)
    return NodeSelector(tuple(terms), tuple(faults))


def node_selector_matches(selector: Mapping[str, Any] | None, node: Mapping[str, Any]) -> bool:
    """Whether a v1.NodeSelector (None: no restriction) selects a Node object."""
    if selector is None:
        return True
    metadata = node.get("metadata") or {}
    return node_selector(selector).matches(metadata.get("labels") or {}, {"metadata.name": metadata.get("name", "")})
