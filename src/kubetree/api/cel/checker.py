"""Type checking: resolves names and overloads, gives every node its type. Follows cel-go's checker, wording included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .declarations import Function, Functions
from .errors import Issue
from .lexer import Source
from .numbers import UInt
from .tree import Call, Comprehension, Expr, Ident, ListExpr, Literal, MapExpr, Select, StructExpr, qualified_name
from .types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    ERROR,
    INT,
    NULL,
    STRING,
    UINT,
    Kind,
    Type,
    describe,
    is_dyn,
    is_dyn_or_error,
    list_of,
    map_of,
    optional_of,
    param,
    type_of,
    unwrap_optional,
)
from .unification import Substitutions, all_assignable, assignable, most_general, substitute

RESERVED_FIELDS = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
StructTypes = Callable[[str], Type | None]


class Checker:
    """Checks one tree. After `check`: `types` by node, `overloads` (ids, in order of declaration) by call, `variables` (the name)
    by node that reads a variable, `constants` by node that names a type."""

    def __init__(
        self,
        source: Source,
        offsets: Mapping[int, int],
        issues: list[Issue],
        variables: Mapping[str, Type],
        functions: Functions,
        struct_type: StructTypes,
        type_names: Mapping[str, Type],
    ) -> None:
        self._source, self._offsets, self._issues = source, offsets, issues
        self._globals, self._functions, self._struct_type, self._type_names = variables, functions, struct_type, type_names
        self._scopes: list[dict[str, Type]] = []
        self._found: Substitutions = {}
        self._free = 0
        self.types: dict[int, Type] = {}
        self.overloads: dict[int, list[str]] = {}
        self.variables: dict[int, str] = {}
        self.constants: dict[int, Type] = {}

    def check(self, root: Expr) -> None:
        self._check(root)
        for number, t in self.types.items():
            self.types[number] = substitute(self._found, t, free_to_dyn=True)

    def issue(self, number: int, message: str) -> None:
        self._issues.append(self._source.issue(message, self._offsets.get(number)))

    def name(self, e: Expr) -> str | None:
        """The variable or type that a node turned out to name."""
        constant = self.constants.get(e.id)
        return self.variables.get(e.id) if constant is None else constant.name

    # nodes

    def _check(self, e: Expr) -> None:
        _CHECKS[type(e)](self, e)

    def _literal(self, e: Literal) -> None:
        self._set(e, literal_type(e.value))

    def _ident(self, e: Ident) -> None:
        if not self._resolve(e, e.name):
            self._set(e, ERROR)
            self.issue(e.id, f"undeclared reference to '{e.name}' (in container '')")

    def _select(self, e: Select) -> None:
        name = qualified_name(e)
        if name is not None and self._resolve(e, name):
            return
        result = self._field(e, e.operand, e.field, optional=False)
        self._set(e, BOOL if e.test_only else substitute(self._found, result))

    def _field(self, e: Expr, operand: Expr, name: str, *, optional: bool) -> Type:
        self._check(operand)
        target, was_optional = unwrap_optional(substitute(self._found, self.types[operand.id]))
        result = ERROR
        if target.kind is Kind.MAP:
            result = target.params[1]
        elif target.kind is Kind.STRUCT:
            found = self._field_type(e.id, target, name)
            if found is not None:
                result = found
        elif target.kind is Kind.PARAM:
            self._assign(DYN, target)
            result = DYN
        else:
            if not is_dyn_or_error(target):
                self.issue(e.id, f"type '{describe(target)}' does not support field selection")
            result = DYN
        return optional_of(result) if was_optional or optional else result

    def _field_type(self, number: int, t: Type, name: str) -> Type | None:
        fields = t.fields
        if fields is None:
            self.issue(number, f"unexpected failed resolution of '{t.name}'")
            return None
        found = fields.get(name)
        if found is None and name in RESERVED_FIELDS:
            found = fields.get(f"__{name}__")
        if found is None:
            self.issue(number, f"undefined field '{name}'")
        return found

    def _call(self, e: Call) -> None:
        if e.function == "_?._":
            field = e.args[1]
            assert isinstance(field, Literal)
            result = self._field(e, e.args[0], field.value, optional=True)
            self._set(e, substitute(self._found, result))
            self.overloads[e.id] = ["select_optional_field"]
            return
        for arg in e.args:
            self._check(arg)
        if e.target is None:
            name = e.function.removeprefix(".")
            known = self._functions.get(name)
            if known is None:
                self._undeclared(e)
                return
            e.function = name
            self._resolve_call(e, known, None)
            return
        prefix = qualified_name(e.target)
        if prefix is not None:
            name = f"{prefix}.{e.function}".removeprefix(".")
            known = self._functions.get(name)
            if known is not None:
                e.function, e.target = name, None
                self._resolve_call(e, known, None)
                return
        self._check(e.target)
        known = self._functions.get(e.function)
        if known is None:
            self._undeclared(e)
            return
        self._resolve_call(e, known, e.target)

    def _undeclared(self, e: Call) -> None:
        self._set(e, ERROR)
        self.issue(e.id, f"undeclared reference to '{e.function}' (in container '')")

    def _resolve_call(self, e: Call, function: Function, target: Expr | None) -> None:
        given = [self.types[arg.id] for arg in e.args]
        if target is not None:
            given.insert(0, self.types[target.id])
        if function.name in ("_&&_", "_||_"):
            self._logical(e, function, given)
            return
        result: Type | None = None
        ids: list[str] = []
        for overload in function.overloads:
            if overload.member is not (target is not None) or len(overload.args) != len(given):
                continue
            wanted, gives = overload.args, overload.result
            if overload.params:
                fresh = {name: self._variable() for name in overload.params}
                wanted = tuple(substitute(fresh, t) for t in wanted)
                gives = substitute(fresh, gives)
            found = all_assignable(self._found, given, wanted)
            if found is None:
                continue
            self._found = found
            ids.append(overload.id)
            gives = substitute(found, gives)
            if result is None:
                result = gives
            elif not is_dyn(result) and gives != result:
                result = DYN
        if result is None:
            shown = [describe(substitute(self._found, t, free_to_dyn=True)) for t in given]
            signature = f"{shown[0]}.({', '.join(shown[1:])})" if target is not None else f"({', '.join(shown)})"
            self.issue(e.id, f"found no matching overload for '{function.name}' applied to '{signature}'")
            self._set(e, ERROR)
            return
        self._set(e, result)
        self.overloads[e.id] = ids

    def _logical(self, e: Call, function: Function, given: list[Type]) -> None:
        failed = False
        for arg, t in zip(e.args, given, strict=True):
            if not self._assign(t, BOOL):
                self.mismatch(arg, BOOL, t)
                failed = True
        self._set(e, ERROR if failed else BOOL)
        if not failed:
            self.overloads[e.id] = [function.overloads[0].id]

    def _list(self, e: ListExpr) -> None:
        joined: Type | None = None
        for at, element in enumerate(e.elements):
            self._check(element)
            t = self.types[element.id]
            if at in e.optionals:
                t = self._unwrapped(element, t)
            joined = self._join(joined, t)
        self._set(e, list_of(self._variable() if joined is None else joined))

    def _map(self, e: MapExpr) -> None:
        key_type: Type | None = None
        value_type: Type | None = None
        for _, key, value, optional in e.entries:
            self._check(key)
            key_type = self._join(key_type, self.types[key.id])
            self._check(value)
            t = self.types[value.id]
            if optional:
                t = self._unwrapped(value, t)
            value_type = self._join(value_type, t)
        if key_type is None or value_type is None:
            key_type, value_type = self._variable(), self._variable()
        self._set(e, map_of(key_type, value_type))

    def _unwrapped(self, e: Expr, t: Type) -> Type:
        inner, was_optional = unwrap_optional(t)
        if not was_optional and not is_dyn(inner):
            self.mismatch(e, optional_of(inner), inner)
        return inner

    def _struct(self, e: StructExpr) -> None:
        name = e.type_name.removeprefix(".")
        t = self._struct_type(name)
        result = ERROR
        if t is None:
            known = self._lookup(name)
            if known is None:
                self.issue(e.id, f"undeclared reference to '{e.type_name}' (in container '')")
                self._set(e, ERROR)
                return
            if known.kind is not Kind.TYPE:
                self.issue(e.id, f"'{describe(known)}' is not a type")
            else:
                self.issue(e.id, f"'{known.params[0].name}' is not a message type")
        else:
            e.type_name = name
            result = t
        self._set(e, result)
        for number, field, value, optional in e.fields:
            self._check(value)
            wanted: Type = ERROR
            if result.kind is Kind.STRUCT:
                wanted = self._field_type(number, result, field) or ERROR
            else:
                self.issue(number, f"unexpected failed resolution of '{name}'")
            given = self.types[value.id]
            if optional:
                given = self._unwrapped(value, given)
            if not self._assign(wanted, given):
                self.issue(number, f"expected type of field '{field}' is '{describe(wanted)}' but provided type is '{describe(given)}'")

    def _fold(self, e: Comprehension) -> None:
        self._check(e.range)
        self._check(e.init)
        over = substitute(self._found, self.types[e.range.id])
        held = self.types[e.init.id]
        self._scopes.append({e.accumulator: held})
        first, second = self._range_types(e, over)
        scope = {e.var: first}
        if e.var2:
            scope[e.var2] = second
        self._scopes.append(scope)
        self._check(e.condition)
        self._assert(e.condition, BOOL)
        self._check(e.step)
        self._assert(e.step, held)
        self._scopes.pop()
        self._check(e.result)
        self._scopes.pop()
        self._set(e, substitute(self._found, self.types[e.result.id]))

    def _range_types(self, e: Comprehension, over: Type) -> tuple[Type, Type]:
        if over.kind is Kind.LIST:
            return (INT, over.params[0]) if e.var2 else (over.params[0], DYN)
        if over.kind is Kind.MAP:
            return over.params[0], over.params[1]
        if over.kind in (Kind.DYN, Kind.ERROR, Kind.PARAM):
            self._assign(DYN, over)
            return DYN, DYN
        self.issue(e.range.id, f"expression of type '{describe(over)}' cannot be range of a comprehension (must be list, map, or dynamic)")
        return ERROR, ERROR

    # names

    def _resolve(self, e: Expr, name: str) -> bool:
        """Whether the node is a variable or a type's name; if so it is noted."""
        name = name.removeprefix(".")
        t = self._lookup(name)
        if t is None:
            return False
        self._set(e, t)
        if t.kind is Kind.TYPE and name in self._type_names and not self._is_variable(name):
            self.constants[e.id] = self._type_names[name]
        else:
            self.variables[e.id] = name
        return True

    def _is_variable(self, name: str) -> bool:
        return any(name in scope for scope in self._scopes) or name in self._globals

    def _lookup(self, name: str) -> Type | None:
        for scope in reversed(self._scopes):
            found = scope.get(name)
            if found is not None:
                return found
        found = self._globals.get(name)
        if found is not None:
            return found
        named = self._type_names.get(name)
        return None if named is None else type_of(named)

    # types

    def _set(self, e: Expr, t: Type) -> None:
        self.types[e.id] = t

    def _variable(self) -> Type:
        self._free += 1
        return param(f"_var{self._free - 1}")

    def _assign(self, given: Type, wanted: Type) -> bool:
        found = assignable(self._found, given, wanted)
        if found is None:
            return False
        self._found = found
        return True

    def _assert(self, e: Expr, t: Type) -> None:
        if not self._assign(t, self.types[e.id]):
            self.mismatch(e, t, self.types[e.id])

    def _join(self, previous: Type | None, current: Type) -> Type:
        """The type of a literal's elements; mixed ones are dyn here, and a fault to a validator."""
        if previous is None:
            return current
        if self._assign(previous, current):
            return most_general(previous, current)
        return DYN

    def mismatch(self, e: Expr, wanted: Type, given: Type) -> None:
        """Reports a node of another type than its place wants."""
        self.issue(e.id, f"expected type '{describe(wanted)}' but found '{describe(given)}'")


def literal_type(value: Any) -> Type:
    return _LITERAL_TYPES[type(value)]


_LITERAL_TYPES: dict[type, Type] = {
    bool: BOOL,
    int: INT,
    UInt: UINT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
    type(None): NULL,
}
_CHECKS: dict[type, Callable[[Checker, Any], None]] = {
    Literal: Checker._literal,
    Ident: Checker._ident,
    Select: Checker._select,
    Call: Checker._call,
    ListExpr: Checker._list,
    MapExpr: Checker._map,
    StructExpr: Checker._struct,
    Comprehension: Checker._fold,
}
