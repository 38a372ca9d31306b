"""Patterns that backtracking could take for ever with, matched in time proportional to the text.

A Thompson program; `found` walks it as a deterministic automaton that is built as it is needed, `find` keeps Go's leftmost-first
choice by running its threads in order of preference.
"""

from __future__ import annotations

from kubetree.api.go_regex.classes import Ranges, contains
from kubetree.api.go_regex.python_pattern import may_be_empty
from kubetree.api.go_regex.syntax import At, Char, Either, Node, Place, Repeat, Sequence

MOST_STATES = 2_000
MOST_TRANSITIONS = 100_000

# Instructions: (CHAR, ranges, next), (SPLIT, preferred, other), (PLACE, At, next), (DONE,)
CHAR, SPLIT, PLACE, DONE = range(4)
_WORD = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")


class _State:
    __slots__ = ("next", "pcs", "previous")

    def __init__(self, pcs: tuple[int, ...], previous: str) -> None:
        self.pcs, self.previous = pcs, previous
        self.next: dict[str, _State | None] = {}


_FOUND = _State((), "")


class Automaton:
    """The pattern as a machine whose states are made when a text needs them; its time is that of the text. `anchored`: only at its start."""

    def __init__(self, node: Node, *, anchored: bool) -> None:
        self._program: list[list[object]] = []
        self._start = self._compile(node, self._emit(DONE))
        self._anchored = anchored
        self._forget()

    # program

    def _emit(self, *instruction: object) -> int:
        self._program.append(list(instruction))
        return len(self._program) - 1

    def _compile(self, node: Node, after: int) -> int:
        """Instructions for a node that go on at `after`; where they begin."""
        if isinstance(node, Char):
            return self._emit(CHAR, node.ranges, after)
        if isinstance(node, Place):
            return self._emit(PLACE, node.at, after)
        if isinstance(node, Sequence):
            for part in reversed(node.parts):
                after = self._compile(part, after)
            return after
        if isinstance(node, Either):
            start = self._compile(node.choices[-1], after)
            for choice in reversed(node.choices[:-1]):
                start = self._emit(SPLIT, self._compile(choice, after), start)
            return start
        return self._repeated(node, after)

    def _repeated(self, node: Repeat, after: int) -> int:
        if node.most is None:
            loop = self._emit(SPLIT, 0, 0)
            body = self._compile(node.node, loop)
            self._program[loop][1:] = (body, after) if node.greedy else (after, body)
            if node.least:
                start, least = body, node.least - 1
            elif may_be_empty(node.node):
                # x* is (x+)? where x may be empty: else a turn that read nothing could not leave the loop in its turn of preference.
                start, least = self._emit(SPLIT, *((body, after) if node.greedy else (after, body))), 0
            else:
                start, least = loop, 0
        else:
            start, least = after, node.least
            for _ in range(node.most - node.least):
                body = self._compile(node.node, start)
                start = self._emit(SPLIT, *((body, after) if node.greedy else (after, body)))
        for _ in range(least):
            start = self._compile(node.node, start)
        return start

    # whether

    def found(self, text: str) -> bool:
        """Whether there is a match anywhere."""
        state = self._first
        for c in text:
            try:
                following = state.next[c]
            except KeyError:
                following = self._step(state, c)
            if following is None:
                return False
            if following is _FOUND:
                return True
            state = following
        return self._reaches_end(state.pcs, state.previous, "")

    def _forget(self) -> None:
        self._states: dict[tuple[tuple[int, ...], str], _State] = {}
        self._transitions = 0
        self._first = self._state((self._start,), "")

    def _state(self, pcs: tuple[int, ...], previous: str) -> _State:
        key = pcs, previous
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = _State(pcs, previous)
        return state

    def _step(self, state: _State, c: str) -> _State | None:
        if len(self._states) > MOST_STATES or self._transitions > MOST_TRANSITIONS:
            self._forget()
        closure = self._closure(state.pcs, state.previous, c)
        following: _State | None
        if closure is None:
            following = _FOUND
        else:
            code = ord(c)
            pcs = dict.fromkeys(int(str(at[2])) for at in closure if contains(_ranges(at), code))
            if not self._anchored:
                pcs[self._start] = None
            following = self._state(tuple(sorted(pcs)), _kind(c)) if pcs else None
        state.next[c] = following
        self._transitions += 1
        return following

    def _closure(self, pcs: tuple[int, ...], previous: str, c: str) -> list[list[object]] | None:
        """The instructions that read a character; None when the end of the pattern is reached before."""
        seen: set[int] = set()
        stack = list(pcs)
        out: list[list[object]] = []
        while stack:
            pc = stack.pop()
            if pc in seen:
                continue
            seen.add(pc)
            instruction = self._program[pc]
            kind = instruction[0]
            if kind == DONE:
                return None
            if kind == CHAR:
                out.append(instruction)
            elif kind == SPLIT:
                stack += [_pc(instruction[1]), _pc(instruction[2])]
            elif _holds(instruction[1], previous, c):
                stack.append(_pc(instruction[2]))
        return out

    def _reaches_end(self, pcs: tuple[int, ...], previous: str, c: str) -> bool:
        return self._closure(pcs, previous, c) is None

    # where

    def find(self, text: str, start: int = 0) -> tuple[int, int] | None:
        """The leftmost match from `start` on, of those the one that is preferred."""
        threads: list[tuple[int, int]] = []
        best: tuple[int, int] | None = None
        for at in range(start, len(text) + 1):
            if best is None and not (self._anchored and at > 0):
                threads.append((self._start, at))
            if not threads:
                break
            c = text[at] if at < len(text) else ""
            threads, best = self._run(threads, best, at, _kind(text[at - 1]) if at else "", c)
        return best

    def _run(
        self, threads: list[tuple[int, int]], best: tuple[int, int] | None, at: int, previous: str, c: str
    ) -> tuple[list[tuple[int, int]], tuple[int, int] | None]:
        """All threads over one character, those preferred first; a match ends those after it."""
        seen: set[int] = set()
        kept: list[tuple[int, int]] = []
        for first, begin in threads:
            stack = [first]
            while stack:
                pc = stack.pop()
                if pc in seen:
                    continue
                seen.add(pc)
                instruction = self._program[pc]
                kind = instruction[0]
                if kind == DONE:
                    return kept, (begin, at)
                if kind == CHAR:
                    if c and contains(_ranges(instruction), ord(c)):
                        kept.append((_pc(instruction[2]), begin))
                elif kind == SPLIT:
                    stack += [_pc(instruction[2]), _pc(instruction[1])]
                elif _holds(instruction[1], previous, c):
                    stack.append(_pc(instruction[2]))
        return kept, best


def _pc(value: object) -> int:
    assert isinstance(value, int)
    return value


def _ranges(instruction: list[object]) -> Ranges:
    ranges = instruction[1]
    assert isinstance(ranges, tuple)
    return ranges


def _kind(c: str) -> str:
    """What assertions need to know of the character before: a newline, part of a word, or something else."""
    return c if c == "\n" else "w" if c in _WORD else "."


def _holds(at: object, previous: str, c: str) -> bool:
    """Whether an assertion holds between what came before ('' at the text's start) and the next character ('' at its end)."""
    if at is At.TEXT_START:
        return previous == ""
    if at is At.TEXT_END:
        return c == ""
    if at is At.LINE_START:
        return previous in ("", "\n")
    if at is At.LINE_END:
        return c in ("", "\n")
    edge = (previous == "w") is not (c != "" and c in _WORD)
    return edge is (at is At.WORD_EDGE)
