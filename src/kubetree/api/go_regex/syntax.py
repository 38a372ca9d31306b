"""Go's regular expressions (RE2's syntax, Perl flags) to a tree, refusing what Go refuses in Go's words.

Case folding, flags and named classes are resolved here: what is left are classes of characters, assertions, sequences, alternatives
and repetitions.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from kubetree.api.go_regex import classes
from kubetree.api.go_regex.classes import Ranges

MOST_REPEATS = 1000


class At(Enum):
    """Places that match no character."""

    TEXT_START = "start"
    TEXT_END = "end"
    LINE_START = "line start"
    LINE_END = "line end"
    WORD_EDGE = "word edge"
    NO_WORD_EDGE = "no word edge"


class Char(NamedTuple):
    """One character out of ranges of code points."""

    ranges: Ranges


class Place(NamedTuple):
    """Nothing, at a place such as the end of the text."""

    at: At


class Sequence(NamedTuple):
    """One part after the other."""

    parts: tuple[Node, ...]


class Either(NamedTuple):
    """The first choice that leads on."""

    choices: tuple[Node, ...]


class Repeat(NamedTuple):
    """`most` is None for without end."""

    node: Node
    least: int
    most: int | None
    greedy: bool


Node = Char | Place | Sequence | Either | Repeat
EMPTY = Sequence(())


class SyntaxFault(ValueError):
    """`str()` is as Go's: 'error parsing regexp: missing closing ]: `[a`'."""

    def __init__(self, reason: str, where: str) -> None:
        super().__init__(f"error parsing regexp: {reason}: `{where}`")


class _Flags(NamedTuple):
    fold: bool = False
    multiline: bool = False
    dot_all: bool = False
    lazy: bool = False


def parse(pattern: str) -> Node:
    """The tree of a pattern. Raises SyntaxFault."""
    parser = _Parser(pattern)
    node = parser.alternatives(_Flags())
    if parser.at < len(pattern):
        raise SyntaxFault("unexpected )", pattern)
    return node


def _repeats(node: Node) -> int:
    """How often the innermost thing may be counted out, nested counts multiplied."""
    if isinstance(node, Repeat):
        count = node.most if node.most is not None else node.least
        own = count if count > 1 else 1
        return own * _repeats(node.node)
    if isinstance(node, Sequence):
        return max(map(_repeats, node.parts), default=1)
    if isinstance(node, Either):
        return max(map(_repeats, node.choices), default=1)
    return 1


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0
        self._depth = 0

    def alternatives(self, flags: _Flags) -> Node:
        """Up to the closing parenthesis or the end; flags set inside hold until there."""
        self._depth += 1
        if self._depth > 200:
            raise SyntaxFault("expression nests too deeply", self.text)
        choices: list[Node] = []
        parts: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] != ")":
            c = self.text[self.at]
            if c == "|":
                self.at += 1
                choices.append(_sequence(parts))
                parts = []
            elif c == "(":
                flags = self._group(flags, parts)
            elif c in "*+?":
                self._repeat(c, parts, flags)
            elif c == "{" and (counts := self._counts()) is not None:
                self._counted(counts, parts, flags)
            else:
                parts.extend(self._atom(flags))
        choices.append(_sequence(parts))
        self._depth -= 1
        return choices[0] if len(choices) == 1 else Either(tuple(choices))

    def _group(self, flags: _Flags, parts: list[Node]) -> _Flags:
        start = self.at
        inner = flags
        self.at += 1
        if self.text.startswith("?", self.at):
            rest = self.text[self.at + 1 :]
            if rest.startswith(("P<", "<")):
                self._name(start, 3 if rest.startswith("P<") else 2)
            else:
                inner, is_group = self._flag_group(start, flags)
                if not is_group:
                    return inner
        node = self.alternatives(inner)
        if self.at >= len(self.text):
            raise SyntaxFault("missing closing )", self.text)
        self.at += 1
        parts.append(node)
        return flags

    def _name(self, start: int, skip: int) -> None:
        if self.text[start + 2 : start + 4] in ("<=", "<!"):
            raise SyntaxFault("invalid or unsupported Perl syntax", self.text[start : start + 4])
        end = self.text.find(">", start)
        if end < 0:
            raise SyntaxFault("invalid named capture", self.text[start:])
        name = self.text[start + 1 + skip : end]
        if not name or not all(c == "_" or (c.isascii() and c.isalnum()) for c in name):
            raise SyntaxFault("invalid named capture", self.text[start : end + 1])
        self.at = end + 1

    def _flag_group(self, start: int, flags: _Flags) -> tuple[_Flags, bool]:
        """`(?i)` and `(?i:`; the flags, and whether a group follows."""
        known = {"i": flags.fold, "m": flags.multiline, "s": flags.dot_all, "U": flags.lazy}
        value, saw = True, False
        at = self.at + 1
        while at < len(self.text):
            c = self.text[at]
            at += 1
            if c in known:
                known[c], saw = value, True
            elif c == "-" and value:
                value, saw = False, False
            elif c in ":)" and (value or saw):
                self.at = at
                return _Flags(known["i"], known["m"], known["s"], known["U"]), c == ":"
            else:
                break
        else:
            raise SyntaxFault("missing argument to repetition operator" if at == start + 2 else "missing closing )", self.text)
        raise SyntaxFault("invalid or unsupported Perl syntax", self.text[start:at])

    def _repeat(self, operator: str, parts: list[Node], flags: _Flags) -> None:
        start = self.at
        self.at += 1
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[operator]
        self._apply(parts, start, least, most, flags)

    def _counted(self, counts: tuple[int, int | None, int], parts: list[Node], flags: _Flags) -> None:
        least, most, end = counts
        start, self.at = self.at, end
        if least > MOST_REPEATS or (most is not None and (most > MOST_REPEATS or least > most)):
            raise SyntaxFault("invalid repeat count", self.text[start:end])
        self._apply(parts, start, least, most, flags)

    def _apply(self, parts: list[Node], start: int, least: int, most: int | None, flags: _Flags) -> None:
        greedy = not flags.lazy
        if self.text.startswith("?", self.at):
            self.at += 1
            greedy = not greedy
        end = self.at
        if not parts:
            raise SyntaxFault("missing argument to repetition operator", self.text[start:end])
        if self.text[end : end + 1] in ("*", "+", "?") and end < len(self.text):
            raise SyntaxFault("invalid nested repetition operator", self.text[start : end + 1])
        if self.text[end : end + 1] == "{":
            self.at = end
            counts = self._counts()
            if counts is not None:
                raise SyntaxFault("invalid nested repetition operator", self.text[start : counts[2]])
        node = Repeat(parts.pop(), least, most, greedy)
        if (least > 1 or (most or 0) > 1) and _repeats(node) > MOST_REPEATS:
            raise SyntaxFault("invalid repeat count", self.text[start:end])
        parts.append(node)

    def _counts(self) -> tuple[int, int | None, int] | None:
        """The numbers of `{2}`, `{2,}`, `{2,3}` at this place and where they end; None for a brace that is only itself."""
        end = self.text.find("}", self.at)
        if end < 0:
            return None
        low, comma, high = self.text[self.at + 1 : end].partition(",")
        if not _is_count(low) or (high and not _is_count(high)):
            return None
        least = int(low)
        return least, (int(high) if high else None) if comma else least, end + 1

    def _atom(self, flags: _Flags) -> list[Node]:
        c = self.text[self.at]
        if c == "[":
            return [Char(self._class(flags))]
        if c == "\\":
            return self._escape(flags)
        self.at += 1
        if c == "^":
            return [Place(At.LINE_START if flags.multiline else At.TEXT_START)]
        if c == "$":
            return [Place(At.LINE_END if flags.multiline else At.TEXT_END)]
        if c == ".":
            return [Char(classes.ANY if flags.dot_all else classes.NOT_NEWLINE)]
        return [Char(_single(c, flags))]

    def _escape(self, flags: _Flags) -> list[Node]:
        following = self.text[self.at + 1 : self.at + 2]
        if following == "Q":
            end = self.text.find("\\E", self.at + 2)
            quoted = self.text[self.at + 2 : end if end >= 0 else len(self.text)]
            self.at = len(self.text) if end < 0 else end + 2
            return [Char(_single(c, flags)) for c in quoted]
        if following == "E":
            self.at += 2
            return []
        place = _PLACES.get(following)
        if place is not None:
            self.at += 2
            return [Place(place)]
        ranges = self._class_escape(flags)
        return [Char(_single(chr(self._character()), flags) if ranges is None else ranges)]

    def _class_escape(self, flags: _Flags) -> Ranges | None:
        """`\\d`, `\\pL` and the like."""
        letter = self.text[self.at + 1 : self.at + 2]
        named = classes.PERL.get(letter)
        if named is not None:
            self.at += 2
            return _group(named, flags)
        if letter not in ("p", "P"):
            return None
        start = self.at
        negated = letter == "P"
        if self.text[start + 2 : start + 3] == "{":
            end = self.text.find("}", start)
            if end < 0:
                raise SyntaxFault("invalid character class range", self.text[start:])
            name, self.at = self.text[start + 3 : end], end + 1
        else:
            name, self.at = self.text[start + 2 : start + 3], start + 3
        if name.startswith("^"):
            negated, name = not negated, name[1:]
        ranges = classes.unicode_class(name)
        if ranges is None:
            raise SyntaxFault("invalid character class range", self.text[start : self.at])
        if flags.fold:
            ranges = classes.folded(ranges)
        return classes.negated(ranges) if negated else ranges

    def _character(self) -> int:
        """The character that an escape stands for."""
        start = self.at
        self.at += 1
        if self.at >= len(self.text):
            raise SyntaxFault("trailing backslash at end of expression", "")
        c = self.text[self.at]
        self.at += 1
        if c in "1234567" and self.text[self.at : self.at + 1] in tuple("01234567"):
            return self._octal(c)
        if c == "0":
            return self._octal(c)
        if c == "x":
            return self._hex(start)
        if c in _CONTROLS:
            return _CONTROLS[c]
        if c.isascii() and not c.isalnum():
            return ord(c)
        raise SyntaxFault("invalid escape sequence", self.text[start : self.at])

    def _octal(self, first: str) -> int:
        digits = first
        while len(digits) < 3 and self.text[self.at : self.at + 1] in tuple("01234567"):
            digits += self.text[self.at]
            self.at += 1
        return int(digits, 8)

    def _hex(self, start: int) -> int:
        if self.text[self.at : self.at + 1] == "{":
            end = self.text.find("}", self.at)
            digits = self.text[self.at + 1 : end] if end >= 0 else ""
            stop = end + 1 if end >= 0 else len(self.text)
        else:
            digits, stop = self.text[self.at : self.at + 2], self.at + 2
        if not digits or not all(d in "0123456789abcdefABCDEF" for d in digits) or (stop == self.at + 2 and len(digits) != 2):
            raise SyntaxFault("invalid escape sequence", self.text[start : min(stop, len(self.text))])
        value = int(digits, 16)
        if value > classes.LAST:
            raise SyntaxFault("invalid escape sequence", self.text[start:stop])
        self.at = stop
        return value

    def _class(self, flags: _Flags) -> Ranges:
        start = self.at
        self.at += 1
        negated = self.text.startswith("^", self.at)
        if negated:
            self.at += 1
        ranges: list[tuple[int, int]] = []
        first = True
        while first or not self.text.startswith("]", self.at):
            if self.at >= len(self.text):
                raise SyntaxFault("missing closing ]", self.text[start:])
            first = False
            named = self._named_class(flags)
            if named is None and self.text[self.at] == "\\":
                named = self._class_escape(flags)
            if named is not None:
                ranges.extend(named)
                continue
            begin = self.at
            low = high = self._class_character(start)
            if self.text.startswith("-", self.at) and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._class_character(start)
                if high < low:
                    raise SyntaxFault("invalid character class range", self.text[begin : self.at])
            ranges.append((low, high))
        self.at += 1
        out = classes.normalized(ranges)
        if flags.fold:
            out = classes.folded(out)
        return classes.negated(out) if negated else out

    def _class_character(self, start: int) -> int:
        if self.at >= len(self.text):
            raise SyntaxFault("missing closing ]", self.text[start:])
        if self.text[self.at] == "\\":
            return self._character()
        self.at += 1
        return ord(self.text[self.at - 1])

    def _named_class(self, flags: _Flags) -> Ranges | None:
        """`[:alpha:]`"""
        if not self.text.startswith("[:", self.at):
            return None
        end = self.text.find(":]", self.at + 2)
        if end < 0:
            return None
        name = self.text[self.at : end + 2]
        ranges = classes.POSIX.get(name)
        if ranges is None:
            raise SyntaxFault("invalid character class range", name)
        self.at = end + 2
        return _group(ranges, flags)


def _group(group: tuple[Ranges, bool], flags: _Flags) -> Ranges:
    """A named class (and whether all but it is meant), with other cases if they do not matter."""
    ranges, negated = group
    if flags.fold:
        ranges = classes.folded(ranges)
    return classes.negated(ranges) if negated else ranges


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and not (len(text) > 1 and text[0] == "0")


def _single(c: str, flags: _Flags) -> Ranges:
    ranges = ((ord(c), ord(c)),)
    return classes.folded(ranges) if flags.fold else ranges


def _sequence(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else Sequence(tuple(parts))


_PLACES = {"A": At.TEXT_START, "z": At.TEXT_END, "b": At.WORD_EDGE, "B": At.NO_WORD_EDGE}
_CONTROLS = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
