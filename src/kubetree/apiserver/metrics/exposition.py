"""The Prometheus text format: families of samples as lines; counters and histograms that cost an observation an addition or two.

What counts is kept as plain numbers and becomes text only when somebody scrapes.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

Sample = tuple[str, float]
"""Labels as text (`{a="b"}` or ''), value."""
Values = tuple[str, ...]
"""Of labels, in the order of their names."""


def family(name: str, type: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    """A counter or a gauge. Without samples there is no family."""
    lines = [f"{name}{labels} {shown(value)}" for labels, value in samples]
    if lines:
        yield from heading(name, type, text)
        yield from lines


def heading(name: str, type: str, text: str) -> Iterator[str]:
    yield from (f"# HELP {name} {text}", f"# TYPE {name} {type}")


def labelled(names: Sequence[str], values: Sequence[str]) -> str:
    return "{" + pairs(names, values) + "}" if names else ""


def pairs(names: Sequence[str], values: Sequence[str]) -> str:
    """Without the braces; by name, as Go's library has them."""
    return ",".join(f'{name}="{escaped(value)}"' for name, value in sorted(zip(names, values, strict=True)))


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def shown(value: float) -> str:
    if not math.isfinite(value):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def edge(value: float) -> str:
    """As Go prints the shortest form of a number: with an exponent from a million on and below a ten-thousandth."""
    if math.isinf(value):
        return "+Inf"
    if value == 0:
        return "0"
    digits, exponent = Decimal(repr(value)).normalize().as_tuple()[1:]
    assert isinstance(exponent, int)
    power = len(digits) + exponent - 1
    if -4 <= power < 6:
        return format(Decimal(repr(value)).normalize(), "f")
    text = "".join(map(str, digits))
    return f"{text[0]}{'.' if len(text) > 1 else ''}{text[1:]}e{'-' if power < 0 else '+'}{abs(power):02d}"


class Histogram:
    """One series. `edges` are upper bounds."""

    __slots__ = ("buckets", "edges", "sum")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.buckets = [0] * (len(edges) + 1)
        self.sum = 0.0

    @property
    def count(self) -> int:
        return sum(self.buckets)

    def add(self, value: float) -> None:
        self.buckets[0 if value <= self.edges[0] else bisect.bisect_left(self.edges, value)] += 1
        self.sum += value

    def add_least(self, count: int) -> None:
        """`count` observations of nothing, or next to it, at once."""
        self.buckets[0] += count

    def merged(self, other: Histogram, sign: int = 1) -> Histogram:
        """Both together (or, with -1, this without the other) as a new one. Their edges are the same."""
        found = Histogram(self.edges)
        found.buckets = [a + sign * b for a, b in zip(self.buckets, other.buckets, strict=True)]
        found.sum = self.sum + sign * other.sum
        return found

    def lines(self, name: str, labels: str, edges: tuple[float, ...] | None = None) -> Iterator[str]:
        """`labels` are without braces; `edges` some of this one's own."""
        total, comma, wanted = 0, "," if labels else "", None if edges is None else set(edges)
        for bound, n in zip((*self.edges, math.inf), self.buckets, strict=True):
            total += n
            if wanted is None or bound in wanted or bound == math.inf:
                yield f'{name}_bucket{{{labels}{comma}le="{edge(bound)}"}} {total}'
        braced = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{braced} {self.sum:.9g}"
        yield f"{name}_count{braced} {self.count}"


class Counter:
    """A family of counters. One without labels is there from the start."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self._name, self._text, self._labels = name, text, labels
        self.values: dict[Values, int] = {} if labels else {(): 0}

    def add(self, *values: str, count: int = 1) -> None:
        self.values[values] = self.values.get(values, 0) + count

    def render(self) -> Iterator[str]:
        yield from family(self._name, "counter", self._text, ((labelled(self._labels, v), n) for v, n in sorted(self.values.items())))


class Distribution:
    """A family of histograms. One without labels is there from the start; others once there is something in them."""

    def __init__(self, name: str, text: str, edges: tuple[float, ...], *labels: str) -> None:
        self._name, self._text, self._edges, self._labels = name, text, edges, labels
        self.values: dict[Values, Histogram] = {} if labels else {(): Histogram(edges)}

    def row(self, *values: str) -> Histogram:
        """To be kept by who adds often."""
        found = self.values.get(values)
        if found is None:
            found = self.values[values] = Histogram(self._edges)
        return found

    def add(self, value: float, *values: str) -> None:
        self.row(*values).add(value)

    def render(self) -> Iterator[str]:
        used = sorted((values, found) for values, found in self.values.items() if found.count or not self._labels)
        if used:
            yield from heading(self._name, "histogram", self._text)
        for values, found in used:
            yield from found.lines(self._name, pairs(self._labels, values))
