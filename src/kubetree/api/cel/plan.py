"""A checked tree to Python closures: what runs when a rule is evaluated.

A closure takes the frame (the cost so far, then the variables' slots) and gives a value or raises EvaluationError. Every closure
adds to the cost what cel-go's tracker would, on failure too: budgets are shared between rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubetree.api.go_regex import compiled

from . import folds, logic
from .attributes import LAZY, Attribute, Conditional, Frame, Relative, Run, Step, Variable
from .calls import binary, call_binary, constant, matching, unary, variadic
from .checker import Checker
from .costs import LIST, MAP, STRUCT, call_cost
from .declarations import Functions, Implementation
from .errors import EvaluationError, ProgramError
from .go_text import show
from .numbers import UInt
from .overloads import implementation_of, in_strict_map, of_text
from .tree import Call, Comprehension, Expr, Ident, ListExpr, Literal, MapExpr, Select, StructExpr
from .types import Kind, Type, is_dyn
from .values import NONE, Optional, equal, no_such_overload, type_of_value

_CONVERSIONS = frozenset({"bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"})
_PATTERN_AT = {"matches": 1, "find": 1, "findAll": 1}
MakeStruct = Callable[[str, dict[str, Any]], Any]


class Constant:
    """A value known before anything runs; it costs nothing."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Operation:
    """What is computed when it runs."""

    __slots__ = ("run",)

    def __init__(self, run: Run) -> None:
        self.run = run


Node = Constant | Operation | Attribute


class Planner:
    """Makes a closure of each node of one checked tree. `slots` are where the frame must have the variables, `size` is how long it is."""

    def __init__(self, checked: Checker, functions: Functions, make_struct: MakeStruct) -> None:
        self._checked, self._functions, self._make_struct = checked, functions, make_struct
        self._scopes: list[dict[str, tuple[int, Run | None]]] = []
        self.slots: dict[str, int] = {}
        self.size = 1

    def run(self, e: Expr) -> Run:
        return self._run(self.plan(e))

    def plan(self, e: Expr) -> Node:
        return _PLANS[type(e)](self, e)

    def _run(self, node: Node) -> Run:
        if isinstance(node, Constant):
            return constant(node.value)
        if isinstance(node, Operation):
            return node.run
        return node.run()

    def _resolve(self, node: Node) -> Attribute:
        """A node as an attribute that is not paid for itself."""
        return node if isinstance(node, Attribute) else Relative(self._run(node))

    def slot(self) -> int:
        self.size += 1
        return self.size - 1

    # names

    def _literal(self, e: Literal) -> Node:
        return Constant(e.value)

    def _ident(self, e: Ident) -> Node:
        return self._variable(e)

    def _variable(self, e: Expr) -> Node:
        named = self._checked.constants.get(e.id)
        if named is not None:
            return Constant(named)
        name = self._checked.variables[e.id]
        if self._checked.types[e.id].kind is Kind.TYPE:
            raise ProgramError(f"reference to undefined type: {name}")
        for scope in reversed(self._scopes):
            local = scope.get(name)
            if local is not None:
                return Variable(name, local[0], bound=local[1])
        slot = self.slots.get(name)
        if slot is None:
            slot = self.slots[name] = self.slot()
        return Variable(name, slot, given=True)

    def _select(self, e: Select) -> Node:
        if e.id in self._checked.variables or e.id in self._checked.constants:
            return self._variable(e)
        path = self._path(e.operand)
        path.add(Step(e.field, is_object=self._is_object(e.operand), test=e.test_only))
        return path

    def _path(self, operand: Expr) -> Attribute:
        node = self.plan(operand)
        return node if isinstance(node, Attribute) else Relative(self._run(node))

    def _is_object(self, operand: Expr) -> bool:
        return self._checked.types[operand.id].kind is Kind.STRUCT

    def _index(self, e: Call, *, optional: bool) -> Node:
        path = self._path(e.args[0])
        index = self.plan(e.args[1])
        is_object = self._is_object(e.args[0])
        if self._checked.types[e.args[0].id].kind is Kind.MAP and self._is_strict(e.args[0]) and not isinstance(index, Constant):
            index = Operation(_string_key(self._resolve(index).resolve()))
        if isinstance(index, Constant):
            if type(index.value) not in (str, int, UInt, float, bool):
                raise ProgramError(f"invalid qualifier type: {type_of_value(index.value).name}")
            path.add(Step(index.value, optional=optional, is_object=is_object))
        elif isinstance(index, Attribute):
            path.add(Step(None, index.resolve(), optional=optional, is_object=is_object))
        else:
            path.add(Step(None, index.run, optional=optional, is_object=is_object))
        return path

    # calls

    def _call(self, e: Call) -> Node:
        special = _SPECIAL.get(e.function)
        if special is not None and e.target is None:
            return special(self, e)
        operands = e.args if e.target is None else [e.target, *e.args]
        nodes = [self.plan(arg) for arg in operands]
        ids = self._checked.overloads.get(e.id, [])
        id = ids[0] if len(ids) == 1 else ""
        if e.function in ("or", "orValue") and len(nodes) == 2:
            return Operation(_optional_or(self._run(nodes[0]), self._run(nodes[1]), value=e.function == "orValue"))
        function = self._functions[e.function]
        if e.function == "@in" and id == "in_list" and isinstance(nodes[1], Constant):
            member = _membership(self._run(nodes[0]), nodes[1].value)
            if member is not None:
                return member
        implementation, is_variadic = implementation_of(function, ids)
        if id == "in_map" and self._is_strict(e.args[1]):
            implementation = in_strict_map
        if e.function in _PATTERN_AT and len(nodes) > 1 and isinstance(nodes[1], Constant) and isinstance(nodes[1].value, str):
            try:
                pattern = compiled(nodes[1].value)
            except ValueError as error:
                raise ProgramError(str(error)) from None
            is_variadic = True
            if e.function == "matches":
                return Operation(matching(self._run(nodes[0]), pattern, id))
            implementation = of_text(next(o.run for o in function.overloads if len(o.args) == len(nodes)))
        cost = call_cost(e.function, id)
        if e.function in _CONVERSIONS and len(nodes) == 1 and isinstance(nodes[0], Constant):
            return self._folded(implementation, nodes[0].value)
        runs = [self._run(node) for node in nodes]
        if is_variadic or len(runs) not in (1, 2):
            return Operation(variadic(runs, implementation, cost, e.function))
        if len(runs) == 1:
            return Operation(unary(runs[0], implementation, cost, e.function))
        return Operation(
            call_binary(e.function, id, runs, nodes[1].value if isinstance(nodes[1], Constant) else LAZY, implementation, cost)
        )

    def _folded(self, implementation: Implementation, value: Any) -> Node:
        try:
            return Constant(implementation(value))
        except EvaluationError as error:
            raise ProgramError(error.message) from None

    def _and(self, e: Call) -> Node:
        return Operation(logic.conjunction(self.run(e.args[0]), self.run(e.args[1])))

    def _or(self, e: Call) -> Node:
        return Operation(logic.disjunction(self.run(e.args[0]), self.run(e.args[1])))

    def _conditional(self, e: Call) -> Node:
        condition, chosen, other = (self.plan(arg) for arg in e.args)
        return Conditional(self._run(condition), self._resolve(chosen), self._resolve(other))

    def _equals(self, e: Call) -> Node:
        one, other = (self.plan(arg) for arg in e.args)
        run = logic.equality(self._run(one), self._run(other), other.value if isinstance(other, Constant) else LAZY)
        if self._is_strict(e.args[0]) and _is_open(self._checked.types[e.args[1].id]):
            run = logic.strict_equality(self._run(one), self._run(other))
        return Operation(run)

    def _not_equals(self, e: Call) -> Node:
        one, other = self.run(e.args[0]), self.run(e.args[1])
        same = logic.alike if self._is_strict(e.args[0]) and _is_open(self._checked.types[e.args[1].id]) else equal
        return Operation(binary(one, other, lambda a, b: not same(a, b), call_cost("_!=_", "not_equals"), ""))

    def _is_strict(self, e: Expr) -> bool:
        """Whether the node's values are lists, maps or objects of a schema."""
        while isinstance(e, Call) and e.function == "dyn":
            e = e.args[0]
        t = self._checked.types[e.id]
        return t.declared and t.kind in (Kind.LIST, Kind.MAP, Kind.STRUCT)

    # literals with parts

    def _list(self, e: ListExpr) -> Node:
        nodes = [self.plan(element) for element in e.elements]
        optionals = e.optionals
        if not optionals and all(isinstance(node, Constant) for node in nodes):
            return Constant([node.value for node in nodes if isinstance(node, Constant)])
        runs = [self._run(node) for node in nodes]
        if not optionals:

            def plain(frame: Frame) -> Any:
                frame[0] += LIST
                return [run(frame) for run in runs]

            return Operation(plain)

        def with_optionals(frame: Frame) -> Any:
            frame[0] += LIST
            out = []
            for at, run in enumerate(runs):
                value = run(frame)
                if at in optionals:
                    if type(value) is not Optional:
                        raise EvaluationError(f"cannot initialize optional list element from non-optional value {show(value)}")
                    if value is NONE:
                        continue
                    value = value.value
                out.append(value)
            return out

        return Operation(with_optionals)

    def _map(self, e: MapExpr) -> Node:
        parts = [(self.plan(key), self.plan(value), optional) for _, key, value, optional in e.entries]
        if all(isinstance(key, Constant) and isinstance(value, Constant) and not optional for key, value, optional in parts):
            return Constant(
                {key.value: value.value for key, value, _ in parts if isinstance(key, Constant) and isinstance(value, Constant)}
            )
        runs = [(self._run(key), self._run(value), optional) for key, value, optional in parts]

        def run(frame: Frame) -> Any:
            frame[0] += MAP
            out: dict[Any, Any] = {}
            for key_run, value_run, optional in runs:
                key, value = key_run(frame), value_run(frame)
                if optional:
                    if type(value) is not Optional:
                        raise EvaluationError(f"cannot initialize optional entry '{show(key)}' from non-optional value {show(value)}")
                    if value is NONE:
                        out.pop(key, None)
                        continue
                    value = value.value
                try:
                    out[key] = value
                except TypeError:
                    raise EvaluationError(f"unsupported key type: {type_of_value(key).name}") from None
            return out

        return Operation(run)

    def _struct(self, e: StructExpr) -> Node:
        name, make = e.type_name, self._make_struct
        runs = [(field.name, self.run(field.value), field.optional) for field in e.fields]

        def run(frame: Frame) -> Any:
            frame[0] += STRUCT
            out: dict[str, Any] = {}
            for field, value_run, optional in runs:
                value = value_run(frame)
                if optional:
                    if type(value) is not Optional:
                        raise EvaluationError(f"cannot initialize optional entry '{field}' from non-optional value {show(value)}")
                    if value is NONE:
                        out.pop(field, None)
                        continue
                    value = value.value
                out[field] = value
            return make(name, out)

        return Operation(run)

    # folds

    def _fold(self, e: Comprehension) -> Node:
        if e.is_bind:
            return self._bind(e)
        over = self.run(e.range)
        first, second = self.slot(), self.slot() if e.var2 else 0
        scope: dict[str, tuple[int, Run | None]] = {e.var: (first, None)}
        if e.var2:
            scope[e.var2] = (second, None)
        self._scopes.append(scope)
        loop = folds.Loop(over, first, second)
        run = self._loop(e, loop)
        self._scopes.pop()
        return Operation(run)

    def _loop(self, e: Comprehension, loop: folds.Loop) -> Run:
        """Which macro the fold came from is seen from its step."""
        step = e.step
        assert isinstance(step, Call)
        if step.function == "_&&_":
            return folds.all_of(loop, self.run(step.args[1]))
        if step.function == "_||_":
            return folds.any_of(loop, self.run(step.args[1]))
        accept: Run | None = None
        if step.function == "_?_:_":
            accept = self.run(step.args[0])
            inner = step.args[1]
            assert isinstance(inner, Call)
            step = inner
        if step.function == "cel.@mapInsert":
            parts = [self.run(arg) for arg in step.args[1:]]
            return folds.into_map(loop, accept, parts)
        item = step.args[1]
        if isinstance(item, Literal):
            assert accept is not None
            return folds.exactly_one(loop, accept)
        assert isinstance(item, ListExpr)
        node = self.plan(item.elements[0])
        return folds.into_list(loop, accept, self._run(node), 2 if isinstance(node, Constant) else LIST + 2)

    def _bind(self, e: Comprehension) -> Node:
        if self._checked.types[e.init.id].kind is Kind.TYPE:
            raise ProgramError(f"reference to undefined type: {e.accumulator}")
        slot = self.slot()
        init = self.run(e.init)
        self._scopes.append({e.accumulator: (slot, init)})
        body = self.run(e.result)
        self._scopes.pop()

        def run(frame: Frame) -> Any:
            frame[slot] = LAZY
            return body(frame)

        return Operation(run)


def _string_key(index: Run) -> Run:
    def run(frame: Frame) -> Any:
        key = index(frame)
        if type(key) is not str:
            raise no_such_overload()
        return key

    return run


def _is_open(t: Type) -> bool:
    """Whether the type leaves open what comes at run time."""
    return is_dyn(t) or any(_is_open(p) for p in t.params)


def _membership(value_run: Run, items: list[Any]) -> Node | None:
    """`value in [constants]`: free of cost when they are primitives."""
    if not items:
        return Constant(False)
    if any(type(item) not in (str, int, UInt, float, bool) for item in items):
        return None
    has_bool = any(type(item) is bool for item in items)
    members = frozenset(items)

    def run(frame: Frame) -> Any:
        value = value_run(frame)
        try:
            return value in members and (type(value) is bool) is has_bool
        except TypeError:
            return False

    return Operation(run)


def _optional_or(one: Run, other: Run, *, value: bool) -> Run:
    def run(frame: Frame) -> Any:
        optional = one(frame)
        if type(optional) is not Optional:
            return optional
        if optional is NONE:
            return other(frame)
        return optional.value if value else optional

    return run


_SPECIAL: Mapping[str, Callable[[Planner, Call], Node]] = {
    "_&&_": Planner._and,
    "_||_": Planner._or,
    "_?_:_": Planner._conditional,
    "_==_": Planner._equals,
    "_!=_": Planner._not_equals,
    "_[_]": lambda planner, e: planner._index(e, optional=False),
    "_[?_]": lambda planner, e: planner._index(e, optional=True),
    "_?._": lambda planner, e: planner._index(e, optional=True),
}
_PLANS: Mapping[type, Callable[[Planner, Any], Node]] = {
    Literal: Planner._literal,
    Ident: Planner._ident,
    Select: Planner._select,
    Call: Planner._call,
    ListExpr: Planner._list,
    MapExpr: Planner._map,
    StructExpr: Planner._struct,
    Comprehension: Planner._fold,
}
