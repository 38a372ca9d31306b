"""Kubernetes' JSONPath as printer columns, scale and selectable fields use it: `.spec.items[0].name`, `.conditions[?(@.type=="Ready")].status`.

A subset of client-go's jsonpath without templates around it: fields, indexes, slices, unions, wildcards, descent and filters. Missing keys
find nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Step = Callable[[list[Any]], list[Any]]
Path = Callable[[Any], list[Any]]


@lru_cache(maxsize=2048)
def compile_path(text: str) -> Path:
    """From a value to the values that the path finds, in order. Raises ValueError for what is no path."""
    steps = _steps(text)

    def find(value: Any) -> list[Any]:
        found = [value]
        for step in steps:
            found = step(found)
        return found

    return find


_NAME = re.compile(r"(?:\\.|[^\s.\[\]{}()@?|$'\"\\,:=<>!&*])+")


def _steps(text: str) -> list[Step]:
    steps: list[Step] = []
    i = 1 if text.startswith(("$", "@")) else 0
    while i < len(text):
        if text.startswith("..", i):
            steps.append(_descend)
            i += 2
            if i < len(text) and text[i] != "[":
                i = _name(text, i, steps)
        elif text[i] == ".":
            i += 1
            if i < len(text) and text[i] != "[":
                i = _name(text, i, steps)
        elif text[i] == "[":
            end = _closing(text, i)
            steps.append(_bracket(text[i + 1 : end].strip()))
            i = end + 1
        else:
            i = _name(text, i, steps)
    return steps


def _name(text: str, at: int, steps: list[Step]) -> int:
    if text[at] == "*":
        steps.append(_every)
        return at + 1
    match = _NAME.match(text, at)
    if match is None:
        raise ValueError(f"unrecognized character in action: {text[at]!r}")
    steps.append(_field(re.sub(r"\\(.)", r"\1", match.group())))
    return match.end()


def _closing(text: str, at: int) -> int:
    depth, quoted = 0, ""
    for i in range(at, len(text)):
        c = text[i]
        if quoted:
            if c == quoted and text[i - 1] != "\\":
                quoted = ""
        elif c in "'\"":
            quoted = c
        elif c == "[":
            depth += 1
        elif c == "]":
            depth -= 1
            if depth == 0:
                return i
    raise ValueError("unterminated array")


def _field(name: str) -> Step:
    return lambda values: [value[name] for value in values if isinstance(value, dict) and name in value]


def _children(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _every(values: list[Any]) -> list[Any]:
    return [child for value in values for child in _children(value)]


def _descend(values: list[Any]) -> list[Any]:
    out: list[Any] = []
    for value in values:
        out.append(value)
        out += _descend(_children(value))
    return out


def _bracket(text: str) -> Step:
    if text == "*":
        return _every
    if text.startswith("?(") and text.endswith(")"):
        return _filter(text[2:-1].strip())
    parts = [part.strip() for part in text.split(",")] if not text.startswith(("'", '"')) else _quoted(text)
    choices: list[Step] = [_choice(part) for part in parts]
    if len(choices) == 1:
        return choices[0]
    return lambda values: [found for choice in choices for found in choice(values)]


def _quoted(text: str) -> list[str]:
    return re.findall(r"'(?:\\.|[^'])*'|\"(?:\\.|[^\"])*\"", text)


def _choice(text: str) -> Step:
    if text[:1] in ("'", '"'):
        return _field(re.sub(r"\\(.)", r"\1", text[1:-1]))
    match = re.fullmatch(r"(-?\d*)(?::(-?\d*)(?::(-?\d*))?)?", text)
    if match is None or not text:
        raise ValueError(f"invalid array index {text}")
    if ":" not in text:
        index = int(text)
        return lambda values: [v[index] for v in values if isinstance(v, list) and -len(v) <= index < len(v)]
    start, stop, step = (int(part) if part else None for part in (match[1], match[2], match[3]))
    return lambda values: [item for v in values if isinstance(v, list) for item in v[start:stop:step]]


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b and isinstance(a, bool) == isinstance(b, bool),
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _filter(text: str) -> Step:
    match = re.fullmatch(r"(@[^=!<>]*|'[^']*'|\"[^\"]*\"|[\w.-]+)\s*(?:(==|!=|<=|>=|<|>)\s*(.+))?", text)
    if match is None:
        raise ValueError(f"unrecognized filter: {text}")
    left, operator = _operand(match[1].strip()), match[2]
    if operator is None:
        return lambda values: [item for item in _items(values) if left(item)]
    right, compare = _operand(match[3].strip()), _COMPARE[operator]

    def holds(item: Any) -> bool:
        a, b = left(item), right(item)
        try:
            return bool(a) and bool(b) and compare(a[0], b[0])
        except TypeError:
            return False

    return lambda values: [item for item in _items(values) if holds(item)]


def _items(values: list[Any]) -> list[Any]:
    return [item for value in values if isinstance(value, (list, dict)) for item in _children(value)]


def _operand(text: str) -> Path:
    if text.startswith("@"):
        return compile_path(text)
    if text[:1] in ("'", '"'):
        constant: Any = re.sub(r"\\(.)", r"\1", text[1:-1])
    elif text in ("true", "false"):
        constant = text == "true"
    else:
        try:
            constant = float(text) if "." in text else int(text)
        except ValueError:
            raise ValueError(f"unrecognized operand in filter: {text}") from None
    return lambda value: [constant]
