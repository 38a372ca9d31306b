"""YAML at the edge of the API server: read and written as sigs.k8s.io/yaml does, by way of JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, ClassVar

import orjson
import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _JsonLoader(_Loader):  # type: ignore[misc]
    """Plain scalars are what Go's parser makes of them: `y` is true, 1:30 and dates are text."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}

    def construct_truth(self, node: yaml.ScalarNode) -> bool:
        return node.value[:1] in "yYtT" or node.value.lower() == "on"

    def construct_integer(self, node: yaml.ScalarNode) -> int | float | str:
        text = node.value.replace("_", "")
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0" and digits.isdigit():
            text = text.replace("0", "0o", 1)
        value = int(text, 0)
        if -(1 << 63) <= value < 1 << 64:
            return value
        return float(value) if abs(value) < _TOO_LARGE else str(node.value)


_TOO_LARGE = int(sys.float_info.max)
_TAG = "tag:yaml.org,2002:"
_TRUE_OR_FALSE = "y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON|n|N|no|No|NO|false|False|FALSE|off|Off|OFF"
for _name, _pattern, _starts in (
    ("bool", _TRUE_OR_FALSE, "yYnNtTfFoO"),
    ("int", "[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|[1-9][0-9_]*|0)", "-+0123456789"),
    ("float", r"[-+]?[0-9_]*\.?[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+0123456789."),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", "<<", "<"),
):
    _JsonLoader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), list(_starts))
_JsonLoader.add_constructor(f"{_TAG}bool", _JsonLoader.construct_truth)
_JsonLoader.add_constructor(f"{_TAG}int", _JsonLoader.construct_integer)


def yaml_to_json(data: bytes) -> bytes:
    """The first document, members in alphabetical order, as upstream has them. Raises ValueError with the parser's words. What is JSON already stays as it is."""
    if data[:1] == b"{":
        try:
            orjson.loads(data)
        except ValueError:
            pass
        else:
            return data
    try:
        root = _first_node(data)
        document = _JsonLoader(b"").construct_document(root) if root is not None else None
        return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS)
    except yaml.MarkedYAMLError as error:
        raise ValueError(_go_error(error)) from error
    except (yaml.YAMLError, orjson.JSONEncodeError, RecursionError) as error:
        raise ValueError(f"yaml: {error}") from error


_DEEPEST = 1000
_LEADING = re.compile(rb"^[ \-?]+", re.MULTILINE)


def _first_node(data: bytes) -> Any:
    """The first document, None when there is none. Raises ValueError for one that is nested too deep or grows too much by its aliases."""
    brackets = data.count(b"[") + data.count(b"{")
    if brackets + 2 * max(map(len, _LEADING.findall(data)), default=0) > _DEEPEST:
        _refuse_depths(data)
    loader = _JsonLoader(data)
    node = loader.get_node() if loader.check_node() else None
    if b"*" in data and node is not None:
        _refuse_bombs(node)
    return node


def _refuse_depths(data: bytes) -> None:
    """libyaml's own recursion would end the process where it runs out of stack."""
    loader, depth = _JsonLoader(data), 0
    while not loader.check_event(yaml.DocumentEndEvent, yaml.StreamEndEvent):
        event = loader.get_event()
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise ValueError(f"yaml: exceeded max depth of {_DEEPEST}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


_FREE_NODES, _FREE_ALIASED, _FEW, _MANY = 100, 1000, 400_000, 4_000_000


def _refuse_bombs(root: Any) -> None:
    """Follows go-yaml: of a large document only a share may come from aliases, the larger the less."""
    sizes: dict[int, tuple[int, int]] = {}
    _measure(root, sizes, set())
    nodes, aliased = sizes[id(root)]
    allowed = 0.99 if nodes <= _FEW else 0.10 if nodes >= _MANY else 0.99 - 0.89 * (nodes - _FEW) / (_MANY - _FEW)
    if nodes > _FREE_NODES and aliased > _FREE_ALIASED and aliased / nodes > allowed:
        raise ValueError("yaml: document contains excessive aliasing")


def _measure(node: Any, sizes: dict[int, tuple[int, int]], above: set[int]) -> tuple[int, int]:
    """How many nodes there are at and below a node once aliases are written out, and how many of them come from aliases."""
    if id(node) in above:
        raise ValueError("yaml: anchor value contains itself")
    if (known := sizes.get(id(node))) is not None:
        return (known[0], known[0])
    above.add(id(node))
    nodes, aliased = 1, 0
    if not isinstance(node, yaml.ScalarNode):
        for part in (p for pair in node.value for p in pair) if isinstance(node, yaml.MappingNode) else node.value:
            more, copied = _measure(part, sizes, above)
            nodes, aliased = nodes + more, aliased + copied
    above.discard(id(node))
    sizes[id(node)] = nodes, aliased
    return nodes, aliased


def _go_error(error: yaml.MarkedYAMLError) -> str:
    """As Go's parser, which is the same libyaml, words a fault: with its line, unless that is the first."""
    line = 0
    if error.problem_mark is not None and error.problem_mark.line:
        line = error.problem_mark.line + isinstance(error, yaml.scanner.ScannerError)
    elif error.context_mark is not None:
        line = error.context_mark.line
    return f"yaml: line {line}: {error.problem}" if line else f"yaml: {error.problem}"


class _GoDumper(_Dumper):  # type: ignore[misc]
    """Strings as Go's encoder writes them: several lines as a literal block, what would be read as something else in double quotes."""

    def represent_text(self, value: str) -> Any:
        style = "|" if "\n" in value else None
        if style is None and (value in _BOOLEANS or _resolver.resolve(yaml.ScalarNode, value, (True, False)) != _TEXT):
            style = '"'
        return self.represent_scalar(_TEXT, value, style=style)


_TEXT = "tag:yaml.org,2002:str"
_BOOLEANS = frozenset({"y", "Y", "n", "N"})
_resolver: Any = yaml.resolver.Resolver()
_GoDumper.add_representer(str, _GoDumper.represent_text)


def json_to_yaml(data: bytes) -> bytes:
    return yaml.dump(orjson.loads(data), Dumper=_GoDumper, default_flow_style=False, encoding="utf-8", allow_unicode=True)


def duplicate_keys(data: bytes) -> str:
    """Go's error for keys that a mapping has twice, '' when there are none. `data` is known to parse."""
    try:
        if data.count(b":") == orjson.dumps(orjson.loads(data)).count(b":"):
            return ""
    except ValueError:
        pass
    found = [f'  line {line}: key "{key}" already set in map' for line, key in _duplicates(_first_node(data))]
    return "\n".join(("yaml: unmarshal errors:", *found)) if found else ""


def warning_lines(fault: str) -> list[str]:
    """A strict error as warnings: YAML's, which tells of several lines at once, becomes one for each."""
    head, found, lines = fault.partition("yaml: unmarshal errors:\n")
    if not found or head not in ("", "error converting YAML to JSON: "):
        return [fault]
    return [line.strip() for line in lines.split("\n")]


def _duplicates(node: Any) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key.start_mark.line + 1, key.value
                seen.add(key.value)
            yield from _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _duplicates(item)
