"""The macros: calls that the parser replaces by folds. Which there are is what Kubernetes' environment turns on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .tree import ACCUMULATOR, UNUSED, Call, Comprehension, Expr, Ident, ListExpr, Select

if TYPE_CHECKING:
    from .expander import Expander
    from .parser import Parser

OLD_ACCUMULATOR = "__result__"
Macro = Callable[["Parser", "Expander", "Expr | None", "list[Expr]"], "Expr | None"]
"""Gives the expansion, or None for a call that only looks like the macro's."""
Macros = Mapping[tuple[str, int, bool], Macro]
"""By name, number of arguments and whether it is called on something."""


class Malformed(Exception):
    """A macro's arguments are not what it needs; `node` is the one to point at."""

    def __init__(self, node: Expr, message: str) -> None:
        super().__init__(message)
        self.node, self.message = node, message


def find(function: str, count: int, receiver: bool, more: Macros) -> Macro | None:
    key = function, count, receiver
    return _MACROS.get(key) or more.get(key)


def _variable(node: Expr, reason: str) -> str:
    if not isinstance(node, Ident):
        raise Malformed(node, reason)
    if node.name in (ACCUMULATOR, OLD_ACCUMULATOR):
        raise Malformed(node, "iteration variable overwrites accumulator variable")
    return node.name


def _variables(args: list[Expr], count: int) -> tuple[str, str]:
    if count == 1:
        return _variable(args[0], "argument must be a simple name"), ""
    names = []
    for node in args[:2]:
        if not isinstance(node, Ident):
            raise Malformed(node, "argument must be a simple name")
        names.append(node.name)
    if names[0] == names[1]:
        raise Malformed(args[1], f"duplicate variable name: {names[0]}")
    return _variable(args[0], ""), _variable(args[1], "")


def _has(_: Parser, new: Expander, __: Expr | None, args: list[Expr]) -> Expr:
    if isinstance(args[0], Select):
        return new.presence(args[0].operand, args[0].field)
    raise Malformed(args[0], "invalid argument to has() macro")


def _all(count: int) -> Macro:
    def expand(_: Parser, new: Expander, target: Expr | None, args: list[Expr]) -> Expr:
        var, var2 = _variables(args, count)
        init = new.literal(True)
        condition = new.call("@not_strictly_false", new.accumulator())
        step = new.call("_&&_", new.accumulator(), args[count])
        return new.fold(_of(target), var, var2, ACCUMULATOR, init, condition, step, new.accumulator())

    return expand


def _exists(count: int) -> Macro:
    def expand(_: Parser, new: Expander, target: Expr | None, args: list[Expr]) -> Expr:
        var, var2 = _variables(args, count)
        init = new.literal(False)
        condition = new.call("@not_strictly_false", new.call("!_", new.accumulator()))
        step = new.call("_||_", new.accumulator(), args[count])
        return new.fold(_of(target), var, var2, ACCUMULATOR, init, condition, step, new.accumulator())

    return expand


def _exists_one(count: int) -> Macro:
    def expand(_: Parser, new: Expander, target: Expr | None, args: list[Expr]) -> Expr:
        var, var2 = _variables(args, count)
        init = new.literal(0)
        condition = new.literal(True)
        step = new.call("_?_:_", args[count], new.call("_+_", new.accumulator(), new.literal(1)), new.accumulator())
        result = new.call("_==_", new.accumulator(), new.literal(1))
        return new.fold(_of(target), var, var2, ACCUMULATOR, init, condition, step, result)

    return expand


def _map(_: Parser, new: Expander, target: Expr | None, args: list[Expr]) -> Expr:
    var = _variable(args[0], "argument is not an identifier")
    init = new.list()
    condition = new.literal(True)
    step = new.call("_+_", new.accumulator(), new.list(args[-1]))
    if len(args) == 3:
        step = new.call("_?_:_", args[1], step, new.accumulator())
    return new.fold(_of(target), var, "", ACCUMULATOR, init, condition, step, new.accumulator())


def _filter(_: Parser, new: Expander, target: Expr | None, args: list[Expr]) -> Expr:
    var = _variable(args[0], "argument is not an identifier")
    init = new.list()
    condition = new.literal(True)
    step = new.call("_+_", new.accumulator(), new.list(args[0]))
    step = new.call("_?_:_", args[1], step, new.accumulator())
    return new.fold(_of(target), var, "", ACCUMULATOR, init, condition, step, new.accumulator())


def _transform(kind: str) -> Macro:
    """transformList, transformMap and transformMapEntry, with a filter before the last argument or without."""

    def expand(_: Parser, new: Expander, target: Expr | None, args: list[Expr]) -> Expr:
        var, var2 = _variables(args, 2)
        if kind == "list":
            step = new.call("_+_", new.accumulator(), new.list(args[-1]))
        elif kind == "map":
            step = new.call("cel.@mapInsert", new.accumulator(), new.ident(var), args[-1])
        else:
            step = new.call("cel.@mapInsert", new.accumulator(), args[-1])
        if len(args) == 4:
            step = new.call("_?_:_", args[2], step, new.accumulator())
        init = new.list() if kind == "list" else new.map()
        condition = new.literal(True)
        return new.fold(_of(target), var, var2, ACCUMULATOR, init, condition, step, new.accumulator())

    return expand


def _optional_map(function: str) -> Macro:
    def expand(_: Parser, new: Expander, target: Expr | None, args: list[Expr]) -> Expr:
        if not isinstance(args[0], Ident):
            raise Malformed(args[0], f"{function}() variable name must be a simple identifier")
        name = args[0].name
        present = new.method("hasValue", _of(target))
        nothing = new.list()
        value = new.method("value", new.copy(_of(target)))
        fold = new.fold(nothing, UNUSED, "", name, value, new.literal(False), new.ident(name), args[1])
        chosen = new.call("optional.of", fold) if function == "optMap" else fold
        return new.call("_?_:_", present, chosen, new.call("optional.none"))

    return expand


def _sort_by(parser: Parser, new: Expander, target: Expr | None, args: list[Expr]) -> Expr:
    if not isinstance(target, ListExpr | Select | Ident | Comprehension | Call):
        raise Malformed(_of(target), "sortBy can only be applied to a list, identifier, comprehension, call or select expression")
    name = new.ident("@__sortBy_input__")
    keys = _map(parser, new, new.copy(name), args)
    sorted_list = new.method("@sortByAssociatedKeys", new.copy(name), keys)
    return new.fold(new.list(), UNUSED, "", "@__sortBy_input__", target, new.literal(False), name, sorted_list)


def _of(target: Expr | None) -> Expr:
    assert target is not None
    return target


def _bind(_: Parser, new: Expander, target: Expr | None, args: list[Expr]) -> Expr | None:
    if not isinstance(target, Ident) or target.name != "cel":
        return None
    if not isinstance(args[0], Ident):
        raise Malformed(args[0], "cel.bind() variable names must be simple identifiers")
    name = args[0].name
    return new.fold(new.list(), UNUSED, "", name, args[1], new.literal(False), new.ident(name), args[2])


BIND: Macros = {("bind", 3, True): _bind}
"""`cel.bind(name, value, expression)`, which only selectors of devices have."""

_MACROS: dict[tuple[str, int, bool], Macro] = {
    ("has", 1, False): _has,
    ("all", 2, True): _all(1),
    ("all", 3, True): _all(2),
    ("exists", 2, True): _exists(1),
    ("exists", 3, True): _exists(2),
    ("exists_one", 2, True): _exists_one(1),
    ("exists_one", 3, True): _exists_one(2),
    ("existsOne", 3, True): _exists_one(2),
    ("map", 2, True): _map,
    ("map", 3, True): _map,
    ("filter", 2, True): _filter,
    ("transformList", 3, True): _transform("list"),
    ("transformList", 4, True): _transform("list"),
    ("transformMap", 3, True): _transform("map"),
    ("transformMap", 4, True): _transform("map"),
    ("transformMapEntry", 3, True): _transform("entry"),
    ("transformMapEntry", 4, True): _transform("entry"),
    ("sortBy", 2, True): _sort_by,
    ("optMap", 2, True): _optional_map("optMap"),
    ("optFlatMap", 2, True): _optional_map("optFlatMap"),
}
