"""Calls of functions as closures: their arguments, their cost, and what a failing argument still costs.

Functions of one or two arguments evaluate both and pay for the call before the first failure is the answer; functions of any number
stop at the first argument that fails.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import ceil
from typing import Any

from kubetree.api.go_regex import Regex

from .attributes import Frame, Run
from .costs import REGEX, Cost, needs_result, traverse
from .declarations import Implementation
from .errors import EvaluationError
from .values import actual_size, no_such_overload


def constant(value: Any) -> Run:
    """A closure that gives a value known before anything runs."""
    return lambda _: value


def tolerant(run: Run, frame: Frame) -> Any:
    """The value, or the error in its place: for costs' sake."""
    try:
        return run(frame)
    except EvaluationError as error:
        return error


def charge(frame: Frame, cost: Cost, args: tuple[Any, ...], result: Any = None) -> None:
    """Adds the cost of a call to the frame's; `result` is what it gave, or the error."""
    frame[0] += cost if isinstance(cost, int) else cost(args, result)


def unary(arg: Run, implementation: Implementation, cost: Cost, name: str) -> Run:
    """A call of one argument. `name` tells whether its cost shows in the result only."""
    if needs_result(name):
        return _late([arg], implementation, cost)
    if isinstance(cost, int):

        def fixed(frame: Frame) -> Any:
            try:
                value = arg(frame)
            except EvaluationError:
                frame[0] += cost
                raise
            frame[0] += cost
            return implementation(value)

        return fixed

    def counted(frame: Frame) -> Any:
        try:
            value = arg(frame)
        except EvaluationError as error:
            frame[0] += cost((error,), None)
            raise
        frame[0] += cost((value,), None)
        return implementation(value)

    return counted


def binary(one: Run, other: Run, implementation: Implementation, cost: Cost, name: str) -> Run:
    """A call of two arguments: both are evaluated, and paid for, before the failure of the first is the answer."""
    if needs_result(name):
        return _late([one, other], implementation, cost)
    if isinstance(cost, int):

        def fixed(frame: Frame) -> Any:
            try:
                a = one(frame)
            except EvaluationError:
                tolerant(other, frame)
                frame[0] += cost
                raise
            try:
                b = other(frame)
            except EvaluationError:
                frame[0] += cost
                raise
            frame[0] += cost
            return implementation(a, b)

        return fixed

    def counted(frame: Frame) -> Any:
        try:
            a = one(frame)
        except EvaluationError as error:
            b = tolerant(other, frame)
            frame[0] += cost((error, b), None)
            raise
        try:
            b = other(frame)
        except EvaluationError as error:
            frame[0] += cost((a, error), None)
            raise
        frame[0] += cost((a, b), None)
        return implementation(a, b)

    return counted


def _late(args: list[Run], implementation: Implementation, cost: Cost) -> Run:
    """A call whose cost shows in its result only."""

    def run(frame: Frame) -> Any:
        values = tuple(tolerant(arg, frame) for arg in args)
        failure = next((value for value in values if isinstance(value, EvaluationError)), None)
        if failure is None:
            try:
                result = implementation(*values)
            except EvaluationError as error:
                failure = error
            else:
                charge(frame, cost, values, result)
                return result
        charge(frame, cost, values, failure)
        raise failure

    return run


def variadic(args: list[Run], implementation: Implementation, cost: Cost, name: str) -> Run:
    """A call of any number of arguments, which ends at the first that fails."""
    last = len(args) - 1

    def run(frame: Frame) -> Any:
        values: list[Any] = []
        for at, arg in enumerate(args):
            try:
                values.append(arg(frame))
            except EvaluationError as error:
                if at == last:
                    charge(frame, cost, (*values, error), error)
                raise
        given = tuple(values)
        try:
            result = implementation(*given)
        except EvaluationError as error:
            charge(frame, cost, given, error)
            raise
        charge(frame, cost, given, result)
        return result

    return run


def matching(text_run: Run, regex: Regex, id: str) -> Run:
    """`text.matches('a constant pattern')`. A failing text costs nothing more; the pattern was never evaluated."""
    patterns = ceil(len(regex.pattern) * REGEX)

    def run(frame: Frame) -> Any:
        text = text_run(frame)
        if type(text) is not str:
            frame[0] += traverse(1.0 + actual_size(text)) * patterns if id == "matches_string" else 1
            raise no_such_overload()
        frame[0] += traverse(1.0 + len(text)) * patterns if id == "matches_string" else 1
        return regex.found(text)

    return run


def call_binary(function: str, id: str, args: list[Run], constant_value: Any, implementation: Implementation, cost: Cost) -> Run:
    """A call of two arguments; whole numbers, which are compared most often, are compared directly."""
    one, other = args
    slow = binary(one, other, implementation, cost, function)
    holds = _COMPARISONS.get(id)
    if holds is None or not isinstance(cost, int):
        return slow
    if type(constant_value) is int:
        return _compared_with(one, constant_value, holds, slow)
    return _compared(one, other, holds, slow)


def _failed(frame: Frame, before: int, slow: Run) -> Any:
    """Once more, the careful way, as if nothing had been tried."""
    frame[0] = before
    return slow(frame)


def _compared(one: Run, other: Run, holds: Comparison, slow: Run) -> Run:
    def run(frame: Frame) -> Any:
        before = frame[0]
        try:
            result = holds(one(frame), other(frame))
        except (EvaluationError, TypeError):
            return _failed(frame, before, slow)
        frame[0] += 1
        return result

    return run


def _compared_with(one: Run, limit: int, holds: Comparison, slow: Run) -> Run:
    def run(frame: Frame) -> Any:
        before = frame[0]
        try:
            result = holds(one(frame), limit)
        except (EvaluationError, TypeError):
            return _failed(frame, before, slow)
        frame[0] += 1
        return result

    return run


Comparison = Callable[[Any, Any], bool]
_COMPARISONS: dict[str, Comparison] = {
    "less_int64": operator.lt,
    "less_equals_int64": operator.le,
    "greater_int64": operator.gt,
    "greater_equals_int64": operator.ge,
}
