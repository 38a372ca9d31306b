"""Tokens to a syntax tree: CEL's grammar by precedence climbing, macros expanded on the way.

The messages are those of cel-go's ANTLR parser where one fault decides them; after a fault that stops the grammar nothing further
is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import NoReturn

from . import macros
from .errors import CompileError, Issue
from .lexer import EOF_TEXT, Source, Token, tokens
from .literals import bytes_literal, string_literal
from .numbers import INT_MAX, INT_MIN, UINT_MAX, UInt
from .tree import (
    ACCUMULATOR,
    Call,
    Comprehension,
    Entry,
    Expr,
    Field,
    Ident,
    ListExpr,
    Literal,
    MapExpr,
    Select,
    StructExpr,
    Unspecified,
)

LONGEST = 100_000
DEEPEST = 250
_RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "package",
        "namespace",
        "null",
        "return",
        "true",
        "var",
        "void",
        "while",
    ]
)
_BINARY = {
    "<": (1, "_<_"),
    "<=": (1, "_<=_"),
    ">=": (1, "_>=_"),
    ">": (1, "_>_"),
    "==": (1, "_==_"),
    "!=": (1, "_!=_"),
    "in": (1, "@in"),
    "+": (2, "_+_"),
    "-": (2, "_-_"),
    "*": (3, "_*_"),
    "/": (3, "_/_"),
    "%": (3, "_%_"),
}
_START = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
_ARGUMENT = _START.replace("'(', ", "'(', ')', ")
_INDEX = _START.replace("'!', ", "'!', '?', ")


class _Stop(Exception):
    """The grammar can go no further."""


def parse(text: str, more_macros: macros.Macros = MappingProxyType({})) -> tuple[Expr, dict[int, int], Source]:
    """The tree of an expression, and the offset of every node by its number. Raises CompileError."""
    source = Source(text)
    if len(text) > LONGEST:
        raise CompileError(text, [source.issue(f"expression code point size exceeds limit: size: {len(text)}, limit {LONGEST}", None)])
    issues: list[Issue] = []
    parser = Parser(source, issues, more_macros)
    try:
        tree = parser.whole()
    except _Stop:
        tree = None
    except RecursionError:
        issues.append(source.issue(f"expression recursion limit exceeded: {DEEPEST}", None))
        tree = None
    if issues or tree is None:
        raise CompileError(text, issues)
    return tree, parser.offsets, source


class Parser:
    """Reads one expression; also what macros build nodes with (`new_*`, `fail`)."""

    def __init__(self, source: Source, issues: list[Issue], more_macros: macros.Macros) -> None:
        self.source, self.issues, self._more_macros = source, issues, more_macros
        self.offsets: dict[int, int] = {}
        self._tokens = tokens(source, issues)
        self._at = 0
        self._next = 1
        self._depth = 0
        self._closers: list[str] = []

    # numbers and places

    def number(self, offset: int | None) -> int:
        """The number of a new node at a place."""
        new = self._next
        self._next += 1
        if offset is not None:
            self.offsets[new] = offset
        return new

    def drop(self, number: int) -> None:
        """A number that macro expansion made void."""
        self.offsets.pop(number, None)
        if number == self._next - 1:
            self._next -= 1

    def fail(self, message: str, offset: int | None) -> Expr:
        number = self.number(offset)
        self.issues.append(self.source.issue(message, offset))
        return Unspecified(number)

    # grammar

    def whole(self) -> Expr:
        tree = self.expression()
        token = self._tokens[self._at]
        if token.kind != EOF_TEXT:
            verb = "extraneous" if self._tokens[self._at + 1].kind == EOF_TEXT else "mismatched"
            self._syntax(f"{verb} input '{token.text}' expecting {EOF_TEXT}", token)
        return tree

    def expression(self) -> Expr:
        """expr: conditionalOr ('?' conditionalOr ':' expr)?"""
        self._depth += 1
        if self._depth > DEEPEST:
            self.issues.append(self.source.issue(f"expression recursion limit exceeded: {DEEPEST}", None))
            raise _Stop
        condition = self._or()
        if self._tokens[self._at].kind == "?":
            number = self.number(self._take().offset)
            chosen = self._or()
            self._expect(":")
            other = self.expression()
            condition = Call(number, "_?_:_", [condition, chosen, other])
        self._depth -= 1
        return condition

    def _or(self) -> Expr:
        """conditionalOr and conditionalAnd. (One function, for each call in a nested expression is a level of Python's stack.)"""
        terms: list[Expr] = []
        numbers: list[int] = []
        operator_at = 0
        while True:
            parts, places = [self._binary(1)], list[int]()
            while self._tokens[self._at].kind == "&&":
                operator = self._take()
                parts.append(self._binary(1))
                places.append(self.number(operator.offset))
            terms.append(_balanced("_&&_", parts, places, 0, len(places) - 1) if places else parts[0])
            if len(terms) > 1:
                numbers.append(self.number(operator_at))
            if self._tokens[self._at].kind != "||":
                return _balanced("_||_", terms, numbers, 0, len(numbers) - 1) if numbers else terms[0]
            operator_at = self._take().offset

    def _binary(self, least: int) -> Expr:
        left = self._unary()
        chained = 0
        while True:
            found = _BINARY.get(self._tokens[self._at].kind)
            if found is None or found[0] < least:
                return left
            chained += 1
            if chained + self._depth > DEEPEST:
                self.issues.append(self.source.issue("max recursion depth exceeded", None))
                raise _Stop
            number = self.number(self._take().offset)
            right = self._binary(found[0] + 1)
            left = Call(number, found[1], [left, right])

    def _unary(self) -> Expr:
        token = self._tokens[self._at]
        if token.kind == "!":
            return self._prefixed("!", "!_")
        if token.kind == "-" and self._tokens[self._at + 1].kind not in ("NUM_INT", "NUM_FLOAT"):
            return self._prefixed("-", "-_")
        return self._member()

    def _prefixed(self, kind: str, function: str) -> Expr:
        first = self._tokens[self._at]
        count = 0
        while self._tokens[self._at].kind == kind:
            self._at += 1
            count += 1
        after = self._tokens[self._at]
        if after.kind == EOF_TEXT:
            if kind == "!":
                self._syntax(f"extraneous input '{EOF_TEXT}' expecting {_START}", after)
            self.issues.append(self.source.issue("Syntax error: no viable alternative at input '-'", after.offset))
            self._mismatch(after, _START)
        if after.kind == "!" and kind == "-":
            self._syntax("no viable alternative at input '-!'", after)
        if count % 2 == 0:
            return self._member()
        number = self.number(first.offset)
        return Call(number, function, [self._member()])

    def _member(self) -> Expr:
        node = self._primary()
        links = 0
        while True:
            kind = self._tokens[self._at].kind
            if kind == ".":
                node = self._selected(node)
            elif kind == "[":
                node = self._indexed(node)
            else:
                return node
            links += 1
            if links + self._depth > DEEPEST:
                self.issues.append(self.source.issue("max recursion depth exceeded", None))
                raise _Stop

    def _selected(self, operand: Expr) -> Expr:
        dot = self._take()
        optional = self._accept("?")
        name = self._tokens[self._at]
        if name.kind not in ("IDENTIFIER", "ESC_IDENTIFIER"):
            return self._no_field(operand, name, optional)
        self._at += 1
        if name.kind == "ESC_IDENTIFIER":
            self.fail("unsupported syntax: '`'", name.offset)
            return Select(self.number(dot.offset), operand, "")
        if optional:
            field = Literal(self.number(name.offset), name.text)
            return Call(self.number(dot.offset), "_?._", [operand, field])
        if self._tokens[self._at].kind == "(":
            number = self.number(self._take().offset)
            return self._called(number, name.text, operand, self._arguments())
        return Select(self.number(dot.offset), operand, name.text)

    def _indexed(self, target: Expr) -> Expr:
        number = self.number(self._take().offset)
        optional = self._accept("?")
        with self._within("]"):
            self._start(_START if optional else _INDEX)
            index = self.expression()
        self._expect("]")
        return Call(number, "_[?_]" if optional else "_[_]", [target, index])

    def _arguments(self) -> list[Expr]:
        args: list[Expr] = []
        if self._accept(")"):
            return args
        with self._within(")"):
            self._start(_ARGUMENT)
            if self._accept(")"):
                return args
            args.append(self.expression())
            while self._accept(","):
                args.append(self.expression())
        self._expect(")")
        return args

    def _called(self, number: int, function: str, target: Expr | None, args: list[Expr]) -> Expr:
        expand = macros.find(function, len(args), target is not None, self._more_macros)
        if expand is not None:
            try:
                expanded = expand(self, Expander(self, number), target, args)
            except macros.Malformed as malformed:
                self.drop(number)
                return self.fail(malformed.message, self.offsets.get(malformed.node.id))
            if expanded is not None:
                self.drop(number)
                return expanded
        return Call(number, function, args, target)

    def _primary(self) -> Expr:
        token = self._tokens[self._at]
        kind = token.kind
        read = _LITERALS.get(kind)
        if read is not None:
            self._at += 1
            return read(self, token)
        if kind == "-":
            following = self._tokens[self._at + 1]
            if following.kind not in ("NUM_INT", "NUM_FLOAT"):
                self._syntax(f"no viable alternative at input '-{_text(following)}'", following)
            self._at += 1
            return _number(self, self._take(), token)
        if kind == "IDENTIFIER" or kind == ".":
            return self._name()
        if kind == "(":
            self._at += 1
            with self._within(")"):
                inner = self.expression()
            self._expect(")")
            return inner
        if kind == "[":
            return self._list()
        if kind == "{":
            return self._map()
        self._start(_START)
        return self._primary()

    def _name(self) -> Expr:
        dotted = self._accept(".")
        start = self._tokens[self._at - 1] if dotted else self._tokens[self._at]
        name = self._tokens[self._at]
        if name.kind != "IDENTIFIER":
            self._syntax(f"no viable alternative at input '.{_text(name)}'", name)
        if self._is_message():
            return self._message("." if dotted else "")
        self._at += 1
        text = ("." if dotted else "") + name.text
        called = self._tokens[self._at].kind == "("
        if name.text in _RESERVED:
            self.fail(f"reserved identifier: {name.text}", start.offset)
            if called:
                self._at += 1
                self._arguments()
            return Unspecified(self._next - 1)
        if called:
            number = self.number(self._take().offset)
            return self._called(number, text, None, self._arguments())
        return Ident(self.number(name.offset), text)

    def _is_message(self) -> bool:
        at = self._at + 1
        while self._tokens[at].kind == "." and self._tokens[at + 1].kind == "IDENTIFIER":
            at += 2
        return self._tokens[at].kind == "{"

    def _message(self, name: str) -> Expr:
        name += self._take().text
        while self._accept("."):
            name += "." + self._take().text
        number = self.number(self._take().offset)
        fields: list[Field] = []
        while not self._accept("}"):
            if fields and not self._accept(","):
                self._separator("{'}', ','}")
            if fields and self._accept("}"):
                break
            optional = self._accept("?")
            field = self._tokens[self._at]
            if field.kind not in ("IDENTIFIER", "ESC_IDENTIFIER"):
                if fields and not optional:
                    self._expect("}")
                    break
                self._mismatch(field, "{IDENTIFIER, ESC_IDENTIFIER}" if optional else "{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}")
            self._at += 1
            colon = self._expect(":")
            at = self.number(colon.offset)
            if field.kind == "ESC_IDENTIFIER":
                self.fail("unsupported syntax: '`'", field.offset)
            fields.append(Field(at, field.text, self.expression(), optional))
        return StructExpr(number, name, fields)

    def _list(self) -> Expr:
        number = self.number(self._take().offset)
        elements: list[Expr] = []
        optionals: set[int] = set()
        if self._accept(","):
            self._expect("]")
            return ListExpr(number, elements)
        while not self._accept("]"):
            if elements and not self._accept(","):
                self._separator("{']', ','}")
            if elements and (self._tokens[self._at].kind == "]" or not (self._starts() or self._tokens[self._at].kind == "?")):
                self._expect("]")
                break
            if self._accept("?"):
                optionals.add(len(elements))
            with self._within("]"):
                elements.append(self.expression())
        return ListExpr(number, elements, frozenset(optionals))

    def _map(self) -> Expr:
        number = self.number(self._take().offset)
        entries: list[Entry] = []
        if self._accept(","):
            self._expect("}")
            return MapExpr(number, entries)
        while not self._accept("}"):
            if entries and not self._accept(","):
                self._separator("{'}', ','}")
            if entries and self._accept("}"):
                break
            optional = self._accept("?")
            # The colon's number comes before those of key and value, although it is read after the key.
            slot = self._next
            self._next += 1
            key = self.expression()
            self.offsets[slot] = self._expect(":").offset
            entries.append(Entry(slot, key, self.expression(), optional))
        return MapExpr(number, entries)

    # tokens

    def _take(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, kind: str) -> bool:
        if self._tokens[self._at].kind == kind:
            self._at += 1
            return True
        return False

    def _expect(self, kind: str) -> Token:
        """The token that must come. One too many is passed over, and one that is merely missing thought to be there."""
        token = self._tokens[self._at]
        if token.kind == kind:
            self._at += 1
            return token
        if token.kind != EOF_TEXT and self._tokens[self._at + 1].kind == kind:
            self._report(f"extraneous input '{token.text}' expecting '{kind}'", token)
            self._at += 2
            return self._tokens[self._at - 1]
        if self._starts() if kind == ":" else token.kind == (self._closers[-1] if self._closers else EOF_TEXT):
            self._report(f"missing '{kind}' at '{token.text}'", token)
            return Token(kind, kind, token.offset)
        return self._mismatch(token, f"'{kind}'")

    def _start(self, wanted: str) -> None:
        """Makes sure that an expression begins here, passing over one token that is too many."""
        token = self._tokens[self._at]
        if self._starts():
            return
        following = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        if token.kind == EOF_TEXT or not (_starts(following) or f"'{following.kind}'" in wanted):
            self._mismatch(token, wanted)
        self._report(f"extraneous input '{token.text}' expecting {wanted}", token)
        self._at += 1

    def _separator(self, wanted: str) -> None:
        """A comma or the closing bracket was to come; one token too many before it is passed over."""
        token, following = self._tokens[self._at], self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        if token.kind == EOF_TEXT or f"'{following.kind}'" not in wanted:
            self._mismatch(token, wanted)
        self._report(f"extraneous input '{token.text}' expecting {wanted}", token)
        self._at += 1
        if following.kind == ",":
            self._at += 1

    def _starts(self) -> bool:
        return _starts(self._tokens[self._at])

    @contextmanager
    def _within(self, closer: str) -> Iterator[None]:
        """Reads what stands in brackets; `closer` is what a missing inner bracket may be followed by."""
        self._closers.append(closer)
        yield
        self._closers.pop()

    def _report(self, message: str, token: Token) -> None:
        self.issues.append(self.source.issue(f"Syntax error: {message}", token.offset))

    def _syntax(self, message: str, token: Token) -> NoReturn:
        self._report(message, token)
        raise _Stop

    def _mismatch(self, token: Token, wanted: str) -> NoReturn:
        self._syntax(f"mismatched input '{token.text}' expecting {wanted}", token)

    def _no_field(self, operand: Expr, token: Token, optional: bool) -> Expr:
        if token.kind in ("true", "false", "null"):
            self._mismatch(token, "IDENTIFIER")
        if optional:
            self._report(f"mismatched input '{token.text}' expecting {{IDENTIFIER, ESC_IDENTIFIER}}", token)
            self.fail("unsupported ident kind", token.offset)
            raise _Stop
        self._report(f"no viable alternative at input '.{_text(token)}'", token)
        if token.kind == "in":
            return operand
        raise _Stop


def _text(token: Token) -> str:
    return "" if token.kind == EOF_TEXT else token.text


def _starts(token: Token) -> bool:
    return token.kind in _LITERALS or token.kind in ("[", "{", "(", ".", "-", "!", "IDENTIFIER")


def _balanced(function: str, terms: list[Expr], numbers: list[int], low: int, high: int) -> Expr:
    """A chain of one operator as a balanced tree, as cel-go keeps it."""
    middle = (low + high + 1) // 2
    left = terms[middle] if middle == low else _balanced(function, terms, numbers, low, middle - 1)
    right = terms[middle + 1] if middle == high else _balanced(function, terms, numbers, middle + 1, high)
    return Call(numbers[middle], function, [left, right])


def _number(parser: Parser, token: Token, sign: Token | None = None) -> Expr:
    offset = token.offset if sign is None else sign.offset
    if token.kind == "NUM_FLOAT":
        value = float(token.text)
        if value in (float("inf"), float("-inf")):
            return parser.fail("invalid double literal", offset)
        return Literal(parser.number(offset), value if sign is None else -value)
    number = int(token.text, 16 if token.text.startswith("0x") else 10)
    if sign is not None:
        number = -number
    if not INT_MIN <= number <= INT_MAX:
        return parser.fail("invalid int literal", offset)
    return Literal(parser.number(offset), number)


def _unsigned(parser: Parser, token: Token) -> Expr:
    text = token.text[:-1]
    number = int(text, 16 if text.startswith("0x") else 10)
    if number > UINT_MAX:
        return parser.fail("invalid uint literal", token.offset)
    return Literal(parser.number(token.offset), UInt(number))


def _string(parser: Parser, token: Token) -> Expr:
    try:
        value = string_literal(token.text)
    except ValueError as error:
        parser.fail(str(error), token.offset)
        value = token.text
    return Literal(parser.number(token.offset), value)


def _bytes(parser: Parser, token: Token) -> Expr:
    try:
        value = bytes_literal(token.text[1:])
    except ValueError as error:
        parser.fail(str(error), token.offset)
        value = b""
    return Literal(parser.number(token.offset), value)


_LITERALS: dict[str, Callable[[Parser, Token], Expr]] = {
    "NUM_INT": _number,
    "NUM_FLOAT": _number,
    "NUM_UINT": _unsigned,
    "STRING": _string,
    "BYTES": _bytes,
    "true": lambda parser, token: Literal(parser.number(token.offset), True),
    "false": lambda parser, token: Literal(parser.number(token.offset), False),
    "null": lambda parser, token: Literal(parser.number(token.offset), None),
}


class Expander:
    """Builds the nodes of one macro's expansion: all stand where the macro's call does."""

    __slots__ = ("_offset", "_parser")

    def __init__(self, parser: Parser, number: int) -> None:
        self._parser, self._offset = parser, parser.offsets.get(number)

    def number(self) -> int:
        return self._parser.number(self._offset)

    def literal(self, value: object) -> Expr:
        return Literal(self.number(), value)

    def ident(self, name: str) -> Expr:
        return Ident(self.number(), name)

    def accumulator(self) -> Expr:
        return Ident(self.number(), ACCUMULATOR)

    def list(self, *elements: Expr) -> Expr:
        return ListExpr(self.number(), list(elements))

    def map(self) -> Expr:
        return MapExpr(self.number(), [])

    def call(self, function: str, *args: Expr) -> Expr:
        return Call(self.number(), function, list(args))

    def method(self, function: str, target: Expr, *args: Expr) -> Expr:
        return Call(self.number(), function, list(args), target)

    def presence(self, operand: Expr, field: str) -> Expr:
        return Select(self.number(), operand, field, test_only=True)

    def fold(self, range: Expr, var: str, var2: str, accumulator: str, init: Expr, condition: Expr, step: Expr, result: Expr) -> Expr:
        return Comprehension(self.number(), range, var, var2, accumulator, init, condition, step, result)

    def copy(self, e: Expr) -> Expr:
        """The same nodes under new numbers, at the old places."""
        new = self._parser.number(self._parser.offsets.get(e.id))
        if isinstance(e, Literal):
            return Literal(new, e.value)
        if isinstance(e, Ident):
            return Ident(new, e.name)
        if isinstance(e, Select):
            return Select(new, self.copy(e.operand), e.field, test_only=e.test_only)
        if isinstance(e, Call):
            args = [self.copy(arg) for arg in e.args]
            return Call(new, e.function, args, None if e.target is None else self.copy(e.target))
        if isinstance(e, ListExpr):
            return ListExpr(new, [self.copy(element) for element in e.elements], e.optionals)
        if isinstance(e, MapExpr):
            return MapExpr(new, [Entry(self.number(), self.copy(k), self.copy(v), optional) for _, k, v, optional in e.entries])
        if isinstance(e, StructExpr):
            return StructExpr(new, e.type_name, [Field(self.number(), n, self.copy(v), optional) for _, n, v, optional in e.fields])
        if isinstance(e, Comprehension):
            parts = [self.copy(part) for part in (e.range, e.init, e.condition, e.step, e.result)]
            return Comprehension(new, parts[0], e.var, e.var2, e.accumulator, *parts[1:])
        return Unspecified(new)
