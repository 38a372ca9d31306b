"""The Prometheus text format: families of samples as lines, and a histogram that costs an observation two additions."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence

Sample = tuple[str, float]
"""Labels as text (`{a="b"}` or ''), value."""


def family(name: str, type: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    """A counter or a gauge. Without samples there is no family."""
    lines = [f"{name}{labels} {shown(value)}" for labels, value in samples]
    if lines:
        yield from (f"# HELP {name} {text}", f"# TYPE {name} {type}")
        yield from lines


def labelled(names: Sequence[str], values: Sequence[str]) -> str:
    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in zip(names, values, strict=True)) + "}"


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def shown(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


class Histogram:
    """`edges` are upper bounds."""

    __slots__ = ("buckets", "count", "edges", "sum")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.buckets = [0] * (len(edges) + 1)
        self.count, self.sum = 0, 0.0

    def add(self, value: float) -> None:
        self.buckets[0 if value <= self.edges[0] else bisect.bisect_left(self.edges, value)] += 1
        self.count += 1
        self.sum += value

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """`labels` are without braces."""
        total, comma = 0, "," if labels else ""
        for edge, n in zip((*self.edges, float("inf")), self.buckets, strict=True):
            total += n
            yield f'{name}_bucket{{{labels}{comma}le="{"+Inf" if edge == float("inf") else format(edge, "g")}"}} {total}'
        braced = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{braced} {self.sum:.6f}"
        yield f"{name}_count{braced} {self.count}"
