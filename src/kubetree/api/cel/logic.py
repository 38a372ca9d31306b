"""`&&`, `||` and `==` as closures. The first two absorb failures: one side may decide whatever the other does."""

from __future__ import annotations

from typing import Any

from .attributes import Frame, Run
from .calls import tolerant
from .costs import equality_cost
from .errors import EvaluationError
from .values import equal, no_such_overload


def conjunction(one: Run, other: Run) -> Run:
    def run(frame: Frame) -> Any:
        try:
            a = one(frame)
        except EvaluationError as error:
            if tolerant(other, frame) is False:
                return False
            raise error from None
        if a is False:
            return False
        if a is not True:
            if tolerant(other, frame) is False:
                return False
            raise no_such_overload()
        b = other(frame)
        if b is True or b is False:
            return b
        raise no_such_overload()

    return run


def disjunction(one: Run, other: Run) -> Run:
    def run(frame: Frame) -> Any:
        try:
            a = one(frame)
        except EvaluationError as error:
            if tolerant(other, frame) is True:
                return True
            raise error from None
        if a is True:
            return True
        if a is not False:
            if tolerant(other, frame) is True:
                return True
            raise no_such_overload()
        b = other(frame)
        if b is True or b is False:
            return b
        raise no_such_overload()

    return run


def equality(one: Run, other: Run, constant: Any) -> Run:
    def slow(frame: Frame) -> Any:
        try:
            a = one(frame)
        except EvaluationError as error:
            frame[0] += equality_cost(error, tolerant(other, frame))
            raise
        try:
            b = other(frame)
        except EvaluationError as error:
            frame[0] += equality_cost(a, error)
            raise
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
