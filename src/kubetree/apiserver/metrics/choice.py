"""Which metrics are shown, and which values of their labels: --disabled-metrics and --allow-metric-labels. Pure.

Follows component-base/metrics/options.go. It works on what is about to be sent, so that what counts need not know of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from kubetree.apiserver.metrics.exposition import family, labelled, shown

UNEXPECTED = "unexpected"
"""What stands for a label's value that is not on its list."""
_LEVEL = re.compile(r"\[(ALPHA|BETA|STABLE|INTERNAL)\]")
_SAMPLE = re.compile(r"([^{ ]+)(?:\{(.*)\})? (.*)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_TEXTS = {
    "disabled": "[BETA] The count of disabled metrics.",
    "hidden": "[BETA] The count of hidden metrics.",
    "registered": "[BETA] The count of registered metrics broken by stability level and deprecation version.",
    "unexpected": "[ALPHA] The count of unexpected categorizations during cardinality enforcement.",
}


class Choice:
    """`disabled` are names of families; `allowed` maps `family,label` to the values of that label that are told apart."""

    def __init__(self, disabled: Iterable[str] = (), allowed: Mapping[str, Iterable[str]] | None = None) -> None:
        self._disabled = frozenset(name for name in disabled if name)
        self._allowed: dict[str, dict[str, frozenset[str]]] = {}
        for key, values in (allowed or {}).items():
            metric, _, label = key.partition(",")
            self._allowed.setdefault(metric, {})[label] = frozenset(values)
        self._unexpected = 0

    def render(self, lines: Iterable[str]) -> str:
        """The page: `lines` as far as they are wanted, and how many families there are."""
        levels = {"BETA": 3, "ALPHA": 1}  # those that `_counts` adds
        kept: list[str] = []
        name, wanted = "", True
        pending: list[str] = []
        for line in lines:
            if line.startswith("# HELP "):
                kept += self._limited(name, pending)
                pending = []
                name, _, text = line[7:].partition(" ")
                wanted = name not in self._disabled
                level = _LEVEL.search(text)
                if level is not None and wanted:
                    levels[level[1]] = levels.get(level[1], 0) + 1
            if not wanted:
                continue
            if name in self._allowed and not line.startswith("#"):
                pending.append(line)
            else:
                kept.append(line)
        kept += self._limited(name, pending)
        kept += (line for line in self._counts(levels))
        return "\n".join(kept) + "\n"

    def _limited(self, name: str, lines: list[str]) -> Iterator[str]:
        """Series that are the same once their labels are limited become one."""
        if not lines:
            return
        sums: dict[str, float] = {}
        for line in lines:
            found = _SAMPLE.fullmatch(line)
            assert found is not None
            labels = dict(_LABEL.findall(found[2] or ""))
            for label, values in self._allowed[name].items():
                if label in labels and labels[label] not in values:
                    labels[label] = UNEXPECTED
                    self._unexpected += 1
            inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
            key = found[1] + (f"{{{inside}}}" if inside else "")
            sums[key] = sums.get(key, 0.0) + float(found[3])
        yield from (f"{key} {shown(value)}" for key, value in sums.items())

    def _counts(self, levels: Mapping[str, int]) -> Iterator[str]:
        if "cardinality_enforcement_unexpected_categorizations_total" not in self._disabled:
            name = "cardinality_enforcement_unexpected_categorizations_total"
            yield from family(name, "counter", _TEXTS["unexpected"], [("", self._unexpected)])
        yield from family("disabled_metrics_total", "counter", _TEXTS["disabled"], [("", len(self._disabled))])
        yield from family("hidden_metrics_total", "counter", _TEXTS["hidden"], [("", 0)])
        names = ("deprecated_version", "stability_level")
        samples = [(labelled(names, ("", level)), n) for level, n in sorted(levels.items())]
        yield from family("registered_metrics_total", "counter", _TEXTS["registered"], samples)
