"""Tokens to a syntax tree: CEL's grammar by precedence climbing, macros expanded on the way.

What is said of a token that does not fit, and where reading goes on, is `recovery.py`'s.
"""

from __future__ import annotations

from types import MappingProxyType

from . import macros
from .errors import CompileError, Issue
from .expander import Expander
from .lexer import EOF_TEXT, Source, Token
from .literals import LITERALS, signed
from .recovery import BINARY, START, OperatorFirst, Reader, Stop
from .tree import Call, Entry, Expr, Field, Ident, ListExpr, Literal, MapExpr, Select, StructExpr, Unspecified

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
_NAMES = ("IDENTIFIER", "ESC_IDENTIFIER")
_ARGUMENT = START.replace("'(', ", "'(', ')', ")
_INDEX = START.replace("'!', ", "'!', '?', ")
_ELEMENT = _INDEX.replace("'[', ", "'[', ']', ").replace("'.', ", "'.', ',', ")
_ENTRY = _INDEX.replace("'{', ", "'{', '}', ").replace("'.', ", "'.', ',', ")


def parse(text: str, more_macros: macros.Macros = MappingProxyType({})) -> tuple[Expr, dict[int, int], Source]:
    """The tree of an expression, and the offset of every node by its number. Raises CompileError."""
    source = Source(text)
    if len(text) > LONGEST:
        raise CompileError(text, [source.issue(f"expression code point size exceeds limit: size: {len(text)}, limit {LONGEST}", None)])
    issues: list[Issue] = []
    parser = Parser(source, issues, more_macros)
    try:
        tree = parser.whole()
    except Stop:
        tree = None
    except RecursionError:
        issues.append(source.issue(f"expression recursion limit exceeded: {DEEPEST}", None))
        tree = None
    if issues or tree is None:
        raise CompileError(text, issues)
    return tree, parser.offsets, source


class Parser(Reader):
    """Reads one expression; also what macros build nodes with (`new_*`, `fail`)."""

    def __init__(self, source: Source, issues: list[Issue], more_macros: macros.Macros) -> None:
        super().__init__(source, issues)
        self._more_macros = more_macros
        self.offsets: dict[int, int] = {}
        self._next = 1
        self._depth = 0

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
            raise Stop
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
            found = BINARY.get(self._tokens[self._at].kind)
            if found is None or found[0] < least:
                return left
            chained += 1
            if chained + self._depth > DEEPEST:
                self.issues.append(self.source.issue("max recursion depth exceeded", None))
                raise Stop
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
        if kind == "-" and (after.kind == "!" or not self._starts()):
            self._at -= 1
            self._report(self._no_way(self._tokens[self._at], after), after)
            return Unspecified(self._next - 1)
        if not self._starts():
            self._report(f"extraneous input '{after.text}' expecting {START}", after)
            if after.kind not in BINARY:
                raise Stop
            return Unspecified(self._next - 1)
        if count % 2 == 0:
            return self._member()
        number = self.number(first.offset)
        return Call(number, function, [self._member()])

    def _member(self) -> Expr:
        try:
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
                    raise Stop
        except OperatorFirst:
            return Unspecified(self._next - 1)

    def _selected(self, operand: Expr) -> Expr:
        dot = self._take()
        optional = self._accept("?")
        name = self._tokens[self._at]
        if optional and name.kind not in _NAMES and self._tokens[min(self._at + 1, len(self._tokens) - 1)].kind in _NAMES:
            self._report(f"extraneous input '{name.text}' expecting {{IDENTIFIER, ESC_IDENTIFIER}}", name)
            self._at += 1
            name = self._tokens[self._at]
        if name.kind not in _NAMES:
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
            self._start(START if optional else _INDEX)
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
        read = LITERALS.get(kind)
        if read is not None:
            self._at += 1
            return read(self, token)
        if kind == "-":
            following = self._tokens[self._at + 1]
            if following.kind not in ("NUM_INT", "NUM_FLOAT"):
                self._syntax(self._no_way(token, following), following)
            self._at += 1
            return signed(self, self._take(), token)
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
        self._start(START)
        return self._unary()

    def _name(self) -> Expr:
        dotted = self._accept(".")
        start = self._tokens[self._at - 1] if dotted else self._tokens[self._at]
        name = self._tokens[self._at]
        if name.kind != "IDENTIFIER":
            self._syntax(self._no_way(start, name), name)
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
        if self._accept(","):
            self._expect("}")
            return StructExpr(number, name, fields)
        while not self._accept("}"):
            if fields and not self._accept(","):
                self._separator("{'}', ','}")
            if fields and self._accept("}"):
                break
            optional = self._accept("?")
            field = self._tokens[self._at]
            if field.kind not in _NAMES:
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
        self._first("]", _ELEMENT)
        if self._accept(","):
            self._expect("]")
            return ListExpr(number, elements)
        while not self._accept("]"):
            if elements and not self._accept(","):
                self._separator("{']', ','}")
            if elements and not self._continues():
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
        self._first("}", _ENTRY)
        if self._accept(","):
            self._expect("}")
            return MapExpr(number, entries)
        while not self._accept("}"):
            if entries and not self._accept(","):
                self._separator("{'}', ','}")
            if entries and not self._continues():
                self._expect("}")
                break
            optional = self._accept("?")
            # The colon's number comes before those of key and value, although it is read after the key.
            slot = self._next
            self._next += 1
            key = self.expression()
            self.offsets[slot] = self._expect(":").offset
            entries.append(Entry(slot, key, self.expression(), optional))
        return MapExpr(number, entries)

    def _no_field(self, operand: Expr, token: Token, optional: bool) -> Expr:
        if token.kind in ("true", "false", "null"):
            self._mismatch(token, "IDENTIFIER")
        if optional:
            self._report(f"mismatched input '{token.text}' expecting {{IDENTIFIER, ESC_IDENTIFIER}}", token)
            self.fail("unsupported ident kind", token.offset)
            raise Stop
        self._report(self._no_way(self._tokens[self._at - 1], token), token)
        if token.kind in BINARY:
            return operand
        raise Stop


def _balanced(function: str, terms: list[Expr], numbers: list[int], low: int, high: int) -> Expr:
    """A chain of one operator as a balanced tree, as cel-go keeps it."""
    middle = (low + high + 1) // 2
    left = terms[middle] if middle == low else _balanced(function, terms, numbers, low, middle - 1)
    right = terms[middle + 1] if middle == high else _balanced(function, terms, numbers, middle + 1, high)
    return Call(numbers[middle], function, [left, right])
