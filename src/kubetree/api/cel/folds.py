"""The macros over lists and maps as loops. What each turn costs beside its predicate is what cel-go's expanded fold costs.

A failure in one turn does not end the loop: `all` and `exists` may still be decided by another element, and the others pay for the
rest before they fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .attributes import Frame, Run
from .calls import tolerant
from .errors import EvaluationError
from .values import go_type_name, is_list, is_map, no_such_overload


class Exhausted(Exception):
    """The cost ran over its limit inside a loop; nothing absorbs it."""


class Loop:
    """What is iterated over, and the slots of the variables. `second` is 0 in the form of one variable."""

    __slots__ = ("first", "over", "second")

    def __init__(self, over: Run, first: int, second: int) -> None:
        self.over, self.first, self.second = over, first, second

    def items(self, frame: Frame) -> Iterable[Any]:
        """The elements, or the keys; pairs of index or key and value for two variables."""
        value = self.over(frame)
        if self.second:
            if is_list(value):
                return enumerate(value)
            if is_map(value):
                return ((key, value[key]) for key in value)
            raise EvaluationError(f"unsupported comprehension range type: {go_type_name(value)}")
        if is_list(value) or is_map(value):
            return list(value) if not isinstance(value, list) else value
        raise EvaluationError(f"got '{go_type_name(value)}', expected iterable type")

    def turns(self, frame: Frame) -> Iterator[None]:
        """Sets the variables for one element after the other; ends when the cost is spent."""
        first, second, limit = self.first, self.second, frame[-1]
        if second:
            for key, value in self.items(frame):
                frame[first], frame[second] = key, value
                if frame[0] > limit:
                    raise Exhausted
                yield
        else:
            for item in self.items(frame):
                frame[first] = item
                if frame[0] > limit:
                    raise Exhausted
                yield


def all_of(loop: Loop, predicate: Run) -> Run:
    """A turn costs 3 and the predicate; an element that was not needed any more 2; the result 1."""
    return _quantifier(loop, predicate, decisive=False, turn=3, stop=2)


def any_of(loop: Loop, predicate: Run) -> Run:
    """`exists`: decided by the first that is true; failures count when none is."""
    return _quantifier(loop, predicate, decisive=True, turn=4, stop=3)


def _quantifier(loop: Loop, predicate: Run, *, decisive: bool, turn: int, stop: int) -> Run:
    usual = not decisive

    def run(frame: Frame) -> Any:
        failure: EvaluationError | None = None
        turns = loop.turns(frame)
        for _ in turns:
            frame[0] += turn
            try:
                value = predicate(frame)
            except EvaluationError as error:
                failure = failure or error
                continue
            if value is usual:
                continue
            if value is decisive:
                for _ in turns:
                    frame[0] += stop
                    break
                frame[0] += 1
                return decisive
            failure = failure or no_such_overload()
        frame[0] += 1
        if failure is not None:
            raise failure
        return usual

    return run


def exactly_one(loop: Loop, predicate: Run) -> Run:
    """`exists_one`: every element is asked, and any failure is the answer."""

    def run(frame: Frame) -> Any:
        failure: EvaluationError | None = None
        count = 0
        for _ in loop.turns(frame):
            try:
                value = predicate(frame)
            except EvaluationError as error:
                failure = error
                continue
            if value is True:
                frame[0] += 2
                count += 1
            elif value is not False:
                failure = no_such_overload()
        frame[0] += 2
        if failure is not None:
            raise failure
        return count == 1

    return run


def _asked(accept: Run, frame: Frame) -> bool | EvaluationError:
    """Whether an element is wanted, or the failure that leaves it open."""
    try:
        wanted = accept(frame)
    except EvaluationError as error:
        return error
    return wanted if wanted is True or wanted is False else no_such_overload()


def into_list(loop: Loop, accept: Run | None, item: Run, cost: int) -> Run:
    """`map`, `filter` and `transformList`: an element taken costs 12 and the item, or 2 when the item is constant."""

    def run(frame: Frame) -> Any:
        failure: EvaluationError | None = None
        out: list[Any] = []
        for _ in loop.turns(frame):
            if accept is not None and (wanted := _asked(accept, frame)) is not True:
                failure = wanted or failure
                continue
            frame[0] += cost
            try:
                out.append(item(frame))
            except EvaluationError as error:
                failure = failure or error
        frame[0] += 1
        if failure is not None:
            raise failure
        return out

    return run


def into_map(loop: Loop, accept: Run | None, parts: list[Run]) -> Run:
    """`transformMap` (key and value) and `transformMapEntry` (a map of its own)."""

    def run(frame: Frame) -> Any:
        failure: EvaluationError | None = None
        out: dict[Any, Any] = {}
        for _ in loop.turns(frame):
            if accept is not None and (wanted := _asked(accept, frame)) is not True:
                failure = wanted or failure
                continue
            frame[0] += 1
            values = [tolerant(part, frame) for part in parts]
            broken = next((value for value in values if isinstance(value, EvaluationError)), None)
            if broken is not None:
                failure = failure or broken
                continue
            frame[0] += 1
            try:
                insert(out, values)
            except EvaluationError as error:
                failure = failure or error
        frame[0] += 1
        if failure is not None:
            raise failure
        return out

    return run


def insert(out: dict[Any, Any], values: list[Any]) -> None:
    entries = [(values[0], values[1])] if len(values) == 2 else [(key, values[0][key]) for key in values[0]]
    for key, value in entries:
        if key in out:
            raise EvaluationError(f"insert failed: key {_shown(key)} already exists")
        out[key] = value


def _shown(key: Any) -> str:
    from .go_text import show

    return show(key)
