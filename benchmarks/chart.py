"""Line charts as SVG, logarithmic both ways: a few panels beside each other, a line a server. No library: there is nothing to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

Points = Sequence[tuple[float, float]]
_COLOURS = ("#326ce5", "#0a8f6c", "#c2410c")
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 300, 190, 52, 34, 34


@dataclass(frozen=True, slots=True)
class Panel:
    """`lines` has the points of each series."""

    title: str
    lines: Mapping[str, Points]


def chart(panels: Sequence[Panel], x_label: str) -> str:
    """The document. Values that are not positive are left out."""
    width, height = _WIDTH * len(panels), _HEIGHT + _TOP + _BOTTOM + 24
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    colours = dict(zip(names, _COLOURS, strict=False))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for at, panel in enumerate(panels):
        parts += _panel(panel, at * _WIDTH, colours, x_label)
    for at, name in enumerate(names):
        x = _LEFT + at * 160
        parts.append(f'<line x1="{x}" y1="{height - 12}" x2="{x + 22}" y2="{height - 12}" stroke="{colours[name]}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 28}" y="{height - 8}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, left: int, colours: Mapping[str, str], x_label: str) -> list[str]:
    points = [point for line in panel.lines.values() for point in line if point[0] > 0 and point[1] > 0]
    if not points:
        return []
    x, y = _Scale([p[0] for p in points], left + _LEFT, left + _WIDTH - 12), _Scale([p[1] for p in points], _TOP + _HEIGHT, _TOP)
    parts = [f'<text x="{left + _LEFT}" y="20" font-size="12" font-weight="bold">{escape(panel.title)}</text>']
    for value in y.decades():
        parts.append(f'<line x1="{x.start}" y1="{y(value):.1f}" x2="{x.end}" y2="{y(value):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x.start - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{_short(value)}</text>')
    for value in x.decades():
        parts.append(f'<line x1="{x(value):.1f}" y1="{y.end}" x2="{x(value):.1f}" y2="{y.start}" stroke="#ddd"/>')
        parts.append(f'<text x="{x(value):.1f}" y="{y.start + 14}" text-anchor="middle">{_short(value)}</text>')
    parts.append(f'<text x="{(x.start + x.end) / 2}" y="{y.start + 28}" text-anchor="middle" fill="#555">{escape(x_label)}</text>')
    for name, line in panel.lines.items():
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line if a > 0 and b > 0)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
    return parts


class _Scale:
    """From a value to a position: whole decades between `start` and `end`."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.start, self.end = start, end
        self._low = math.floor(math.log10(min(values)) + 1e-9)
        self._high = max(self._low + 1, math.ceil(math.log10(max(values)) - 1e-9))

    def __call__(self, value: float) -> float:
        return self.start + (math.log10(value) - self._low) / (self._high - self._low) * (self.end - self.start)

    def decades(self) -> list[float]:
        return [10.0**n for n in range(self._low, self._high + 1)]


def _short(value: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
