"""The tree of a pattern as Python's `re` writes it, and how much work its backtracking may be."""

from __future__ import annotations

import re

from kubetree.api.go_regex.classes import ANY, LAST, NOT_NEWLINE, Ranges
from kubetree.api.go_regex.syntax import At, Char, Either, Node, Place, Repeat, Sequence

_PLACES = {
    At.TEXT_START: r"\A",
    At.TEXT_END: r"\Z",
    At.LINE_START: r"(?m:^)",
    At.LINE_END: r"(?m:$)",
    At.WORD_EDGE: r"(?a:\b)",
    At.NO_WORD_EDGE: r"(?!(?a:\b))",
}
UNLIMITED = 1 << 62


def written(node: Node) -> str:
    if isinstance(node, Char):
        return _char(node.ranges)
    if isinstance(node, Place):
        return _PLACES[node.at]
    if isinstance(node, Sequence):
        return "".join(f"(?:{written(part)})" if isinstance(part, Either) else written(part) for part in node.parts)
    if isinstance(node, Either):
        return "|".join(map(written, node.choices))
    inner = written(node.node)
    if not isinstance(node.node, Char):
        inner = f"(?:{inner})"
    return inner + _times(node) + ("" if node.greedy else "?")


def _times(node: Repeat) -> str:
    known = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((node.least, node.most))
    return known or f"{{{node.least},{'' if node.most is None else node.most}}}"


def _char(ranges: Ranges) -> str:
    if ranges == ANY:
        return r"[\s\S]"
    if ranges == NOT_NEWLINE:
        return "."
    if not ranges:
        return r"[^\s\S]"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return re.escape(chr(ranges[0][0]))
    return "[" + "".join(_escaped(low) if low == high else f"{_escaped(low)}-{_escaped(high)}" for low, high in ranges) + "]"


def _escaped(code: int) -> str:
    if code > LAST:
        code = LAST
    c = chr(code)
    return c if c.isascii() and c.isalnum() else f"\\U{code:08x}"


def choices(node: Node) -> list[int] | None:
    """How many ways each part can be taken, `UNLIMITED` for as many as the text is long: their product bounds backtracking. None when
    nothing does, because a repetition repeats what can itself be taken in several ways."""
    if isinstance(node, Char | Place):
        return []
    if isinstance(node, Repeat):
        inner = choices(node.node)
        if inner is None or (inner and (node.most is None or node.most > 2)):
            return None
        spread = UNLIMITED if node.most is None else node.most - node.least + 1
        return [spread, *inner] if spread > 1 else inner
    out: list[int] = []
    for part in node.parts if isinstance(node, Sequence) else node.choices:
        inner = choices(part)
        if inner is None:
            return None
        out += inner
    if isinstance(node, Either) and (out or not all(isinstance(choice, Char) for choice in node.choices)):
        out.append(len(node.choices))
    return out


def may_be_empty(node: Node) -> bool:
    """Whether a node can match no character at all."""
    if isinstance(node, Sequence):
        return all(map(may_be_empty, node.parts))
    if isinstance(node, Either):
        return any(map(may_be_empty, node.choices))
    if isinstance(node, Repeat):
        return node.least == 0 or may_be_empty(node.node)
    return isinstance(node, Place)


def is_anchored(node: Node) -> bool:
    """Whether a match can only begin at the text's start."""
    if isinstance(node, Place):
        return node.at is At.TEXT_START
    if isinstance(node, Sequence):
        return bool(node.parts) and is_anchored(node.parts[0])
    if isinstance(node, Either):
        return all(map(is_anchored, node.choices))
    return isinstance(node, Repeat) and node.least > 0 and is_anchored(node.node)
