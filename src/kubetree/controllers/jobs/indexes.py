"""Completion indexes of Jobs: their text form (`0-3,5`), where they stand on pods, and what a pod of an index is made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubetree.api.objects import annotations as annotations_of

Object = dict[str, Any]

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
VARIABLE = "JOB_COMPLETION_INDEX"
LONGEST_PREFIX = 58


def is_indexed(job: Object) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def parse(text: str | None, completions: int) -> set[int]:
    """The indexes of a text such as 1,3-5 that are below `completions`; what is malformed is left out."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, dash, last = part.partition("-")
        if first.isdigit() and (not dash or last.isdigit()):
            found.update(range(int(first), min(int(last or first), completions - 1) + 1))
    return found


def text_of(indexes: Iterable[int]) -> str:
    """Intervals in order; two neighbours are written with a comma, as upstream does."""
    parts: list[str] = []
    ordered = sorted(indexes)
    start = 0
    for position, index in enumerate(ordered):
        if position + 1 < len(ordered) and ordered[position + 1] == index + 1:
            continue
        first = ordered[start]
        parts.append(str(first) if first == index else f"{first}{',' if index == first + 1 else '-'}{index}")
        start = position + 1
    return ",".join(parts)


def index_of(pod: Object) -> int | None:
    """The pod's completion index; None when it has none that is a number."""
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isascii() and text.isdigit() else None


def count(pod: Object, annotation: str) -> int:
    text = annotations_of(pod).get(annotation, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def template_for(template: Object, job: Object, index: int, failures: tuple[int, int] | None) -> tuple[Object, str]:
    """The template of an index's pod, and the prefix of its name. `failures`: counted and ignored so far, where they are kept."""
    name = job["metadata"]["name"]
    metadata = template.get("metadata") or {}
    notes = {**(metadata.get("annotations") or {}), INDEX: str(index)}
    if failures is not None:
        notes[FAILURES] = str(failures[0])
        if failures[1]:
            notes[IGNORED_FAILURES] = str(failures[1])
    marked = {**(metadata.get("labels") or {}), INDEX: str(index)}
    spec = {**template["spec"], "hostname": f"{name}-{index}"}
    for field in ("containers", "initContainers"):
        if field in spec:
            spec[field] = [_with_variable(container) for container in spec[field]]
    suffix = f"-{index}-"
    return {**template, "metadata": {**metadata, "annotations": notes, "labels": marked}, "spec": spec}, (
        name[: LONGEST_PREFIX - len(suffix)] + suffix
    )


def _with_variable(container: Object) -> Object:
    env = container.get("env") or []
    if any(variable["name"] == VARIABLE for variable in env):
        return container
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    return {**container, "env": [*env, {"name": VARIABLE, "valueFrom": source}]}
