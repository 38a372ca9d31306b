"""`&&`, `||` and `==` as closures. The first two absorb failures: one side may decide whatever the other does."""

from __future__ import annotations

from typing import Any

from .attributes import Frame, Run
from .calls import binary, tolerant
from .costs import equality_cost, traverse
from .errors import EvaluationError
from .values import equal, is_list, is_map, no_such_overload


def conjunction(one: Run, other: Run) -> Run:
    """`one && other`"""
    return _decided(one, other, by=False)


def disjunction(one: Run, other: Run) -> Run:
    """`one || other`"""
    return _decided(one, other, by=True)


def _decided(one: Run, other: Run, *, by: bool) -> Run:
    """Either side decides with the value `by`, even when the other fails; without it both must be its opposite."""
    decisive, neutral = by, not by

    def run(frame: Frame) -> Any:
        try:
            a = one(frame)
        except EvaluationError as error:
            if tolerant(other, frame) is decisive:
                return decisive
            raise error from None
        if a is decisive:
            return decisive
        if a is not neutral:
            if tolerant(other, frame) is decisive:
                return decisive
            raise no_such_overload()
        b = other(frame)
        if b is True or b is False:
            return b
        raise no_such_overload()

    return run


def alike(one: Any, other: Any) -> bool:
    """`equal` for a list, map or object of a schema: it refuses to be compared with another kind of value."""
    if one is not None and other is not None and not (is_list(other) if is_list(one) else is_map(other)):
        raise no_such_overload()
    return equal(one, other)


def strict_equality(one: Run, other: Run) -> Run:
    """`one == other` where a schema says what `one` is, and `other` may be anything."""
    return binary(one, other, alike, lambda args, _: equality_cost(args[0], args[1]), "")


def equality(one: Run, other: Run, constant: Any) -> Run:
    """`one == other`; `constant` is the value of `other` where it is known, LAZY where not."""

    def slow(frame: Frame) -> Any:
        try:
            a = one(frame)
        except EvaluationError as error:
            b = tolerant(other, frame)
            frame[0] += equality_cost(error, b)
            raise
        try:
            b = other(frame)
        except EvaluationError as error:
            frame[0] += equality_cost(a, error)
            raise
        kind = type(a)
        if kind is type(b):
            if kind is str:
                size = len(a) if len(a) < len(b) else len(b)
                frame[0] += 1 if 0 < size <= 10 else traverse(size)
                return a == b
            if kind is int or kind is bool:
                frame[0] += 1
                return a == b
        frame[0] += equality_cost(a, b)
        return equal(a, b)

    if type(constant) is not str:
        return slow
    length = len(constant)

    def to_string(frame: Frame) -> Any:
        try:
            a = one(frame)
        except EvaluationError as error:
            frame[0] += equality_cost(error, constant)
            raise
        if type(a) is not str:
            frame[0] += equality_cost(a, constant)
            return equal(a, constant)
        smaller = len(a) if len(a) < length else length
        frame[0] += 1 if 0 < smaller <= 10 else equality_cost(a, constant)
        return a == constant

    return to_string
