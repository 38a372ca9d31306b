"""Paths through values at run time: `a.b[0].?c`, with what each step costs.

A path is paid for by the step as it is walked, and once for itself at its end. Where the path is a condition's branch or an index,
it is not paid for itself (upstream's quirk, and part of the budget's arithmetic).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import EvaluationError
from .go_text import show
from .operations import list_index
from .values import (
    ABSENT,
    NONE,
    Optional,
    TypedList,
    TypedMap,
    find,
    is_list,
    is_map,
    native,
    no_such_overload,
)

Frame = list[Any]
Run = Callable[[Frame], Any]


class Missing:
    """Stands for a variable that the caller did not give."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Failed:
    """Stands for a bound variable whose value could not be computed."""

    __slots__ = ("error",)

    def __init__(self, error: EvaluationError) -> None:
        self.error = error


LAZY: Any = Missing("")


class Step:
    """One qualifier. `key` is constant unless `compute` gives it. `is_object`: the value stepped from is an object of a schema,
    where null is the same as absent. `test` marks the last step of `has()`."""

    __slots__ = ("compute", "is_object", "key", "optional", "test")

    def __init__(
        self, key: Any, compute: Run | None = None, *, optional: bool = False, is_object: bool = False, test: bool = False
    ) -> None:
        self.key, self.compute, self.optional, self.is_object, self.test = key, compute, optional, is_object, test

    def take(self, frame: Frame, value: Any) -> Any:
        key = self.key
        frame[0] += 1
        if self.compute is not None:
            key = self.compute(frame)
        if self.test:
            return look(value, key, self.is_object) is not ABSENT
        found = look(value, key, self.is_object)
        if found is ABSENT:
            raise missing(value, key)
        return found

    def maybe(self, frame: Frame, value: Any) -> Any:
        """What is there, or ABSENT; only what is there is paid for."""
        key = self.key
        if self.compute is not None:
            key = self.compute(frame)
        found = look(value, key, self.is_object)
        if found is not ABSENT:
            frame[0] += 1
        return found


def look(value: Any, key: Any, is_object: bool = False) -> Any:
    """The value at a key or an index, or ABSENT. Raises EvaluationError when such a key cannot be asked for."""
    if type(value) is dict:
        found = find(value, key)
        return ABSENT if found is None and is_object else found
    if is_list(value):
        at = list_index(key)
        if not 0 <= at < len(value):
            return ABSENT
        if type(key) is not int and type(value) is TypedList:
            raise EvaluationError(f"unsupported index: {show(key)}")
        return value[at]
    if is_map(value):
        return find(value, key)
    return ABSENT


def missing(value: Any, key: Any) -> EvaluationError:
    """What is said of a key that is not there."""
    if is_list(value):
        return EvaluationError(f"index out of bounds: {show(key)}")
    return EvaluationError(f"no such key: {show(key)}")


class Attribute:
    """A path under construction: what it starts from, and its steps. Subclasses say what `start` gives."""

    charge = 1

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def add(self, step: Step) -> None:
        self.steps.append(step)

    def resolve(self) -> Run:
        """Walks the path without paying for the path itself."""
        raise NotImplementedError

    def run(self) -> Run:
        """Walks the path and pays for it."""
        walk, charge = self.resolve(), self.charge
        if self.steps and self.steps[-1].test:
            charge -= 1
            return _presence(walk, charge)
        return paying(walk) if charge else walk


def _presence(walk: Run, charge: int) -> Run:
    def run(frame: Frame) -> Any:
        frame[0] += charge
        value = walk(frame)
        return value is not NONE if type(value) is Optional else value

    return run


class Relative(Attribute):
    """A path from the result of an operation."""

    def __init__(self, operand: Run) -> None:
        super().__init__()
        self._operand = operand

    def resolve(self) -> Run:
        return walking(self._operand, self.steps) if self.steps else self._operand


class Conditional(Attribute):
    """A path from one of two, as a condition says. It costs nothing itself."""

    charge = 0

    def __init__(self, condition: Run, chosen: Attribute, other: Attribute) -> None:
        super().__init__()
        self._condition, self._chosen, self._other = condition, chosen, other

    def add(self, step: Step) -> None:
        self.steps.append(step)
        self._chosen.add(step)
        self._other.add(step)

    def resolve(self) -> Run:
        condition, chosen, other = self._condition, self._chosen.resolve(), self._other.resolve()

        def run(frame: Frame) -> Any:
            value = condition(frame)
            if value is True:
                return chosen(frame)
            if value is False:
                return other(frame)
            raise no_such_overload()

        return run


class Variable(Attribute):
    """A path from a variable. `bound` computes a lazily bound one; `given` says that it comes from outside, and may be missing."""

    def __init__(self, name: str, slot: int, *, given: bool = False, bound: Run | None = None) -> None:
        super().__init__()
        self._name, self._slot, self._given, self._bound = name, slot, given, bound

    def _read(self) -> Run:
        slot, bound, given = self._slot, self._bound, self._given

        def local(frame: Frame) -> Any:
            return frame[slot]

        def outer(frame: Frame) -> Any:
            value = frame[slot]
            kind = type(value)
            if kind is Missing:
                raise EvaluationError(f"no such attribute(s): {value.name}")
            if kind is Failed:
                raise value.error
            return value

        def lazy(frame: Frame) -> Any:
            value = frame[slot]
            if value is LAZY:
                assert bound is not None
                try:
                    value = frame[slot] = bound(frame)
                except EvaluationError as error:
                    frame[slot] = Failed(error)
                    raise
            elif type(value) is Failed:
                raise value.error
            return value

        return lazy if bound is not None else outer if given else local

    def resolve(self) -> Run:
        return self._walk(0)

    def run(self) -> Run:
        if self.steps and self.steps[-1].test:
            return self._presence()
        return self._walk(1)

    def _keys(self, steps: list[Step]) -> list[str] | None:
        """The keys of steps that are no more than names."""
        if any(step.compute is not None or step.optional or step.test or type(step.key) is not str for step in steps):
            return None
        return [step.key for step in steps]

    def _walk(self, charge: int) -> Run:
        slot, steps = self._slot, self.steps
        if not steps:
            return self._alone(charge)
        slow = walking(self._read(), steps)
        if charge:
            slow = paying(slow)
        keys = self._keys(steps)
        if keys is None:
            return slow
        return _plain_path(slot, keys, len(keys) + charge, slow)

    def _alone(self, charge: int) -> Run:
        slot, read = self._slot, self._read()
        if self._bound is None and not self._given:
            if not charge:
                return read

            def local(frame: Frame) -> Any:
                frame[0] += 1
                return frame[slot]

            return local

        def outer(frame: Frame) -> Any:
            frame[0] += charge
            value = read(frame)
            if type(value) is Optional and value is not NONE:
                return Optional(native(value.value))
            return value

        return outer

    def _presence(self) -> Run:
        slot, steps = self._slot, self.steps
        slow = _presence(walking(self._read(), steps), 0)
        keys = self._keys(steps[:-1])
        last = steps[-1]
        if keys is None or type(last.key) is not str:
            return slow
        cost, final, is_object = len(steps), last.key, last.is_object

        def run(frame: Frame) -> Any:
            try:
                value = frame[slot]
                for key in keys:
                    value = value[key]
            except (KeyError, TypeError, IndexError):
                return slow(frame)
            if type(value) is dict:
                frame[0] += cost
                return value.get(final) is not None if is_object else final in value
            if type(value) is TypedMap:
                frame[0] += cost
                return find(value, final) is not ABSENT
            return slow(frame)

        return run


def _plain_path(slot: int, keys: list[str], cost: int, slow: Run) -> Run:
    """`a.b.c` on what is there, the commonest of all expressions, without a loop where it is short; whatever else happens is up to `slow`."""
    if len(keys) == 1:
        (first,) = keys

        def one(frame: Frame) -> Any:
            try:
                value = frame[slot][first]
            except (KeyError, TypeError, IndexError):
                return slow(frame)
            if value is None:
                return slow(frame)
            frame[0] += cost
            return value

        return one
    if len(keys) == 2:
        first, second = keys

        def two(frame: Frame) -> Any:
            try:
                value = frame[slot][first][second]
            except (KeyError, TypeError, IndexError):
                return slow(frame)
            if value is None:
                return slow(frame)
            frame[0] += cost
            return value

        return two

    def many(frame: Frame) -> Any:
        try:
            value = frame[slot]
            for key in keys:
                value = value[key]
        except (KeyError, TypeError, IndexError):
            return slow(frame)
        if value is None:
            return slow(frame)
        frame[0] += cost
        return value

    return many


def paying(walk: Run) -> Run:
    """One more for the path itself, on failure too."""

    def run(frame: Frame) -> Any:
        try:
            value = walk(frame)
        except EvaluationError:
            frame[0] += 1
            raise
        frame[0] += 1
        return value

    return run


def walking(start: Run, steps: list[Step]) -> Run:
    """The path, step by step, optional ones and all."""

    def run(frame: Frame) -> Any:
        value = start(frame)
        optional = False
        if type(value) is Optional:
            if value is NONE:
                return NONE
            value, optional = native(value.value), True
        for step in steps:
            optional = optional or step.optional
            if optional:
                value = step.maybe(frame, value)
                if value is ABSENT:
                    return NONE
            else:
                value = step.take(frame, value)
        return Optional(value) if optional else value

    return run
