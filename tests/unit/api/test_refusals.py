"""Creates are refused for what upstream refuses them for, in its words and its order: a recorded table."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from api_objects import refusals

Object = dict[str, Any]

RECORDED: Object = yaml.load((Path(__file__).parent / "refusals.yaml").read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
CASES = [
    pytest.param(name, case["change"], case["causes"], id=f"{name}-{'+'.join(case['change'])}-{i}")
    for name, cases in RECORDED["refusals"].items()
    for i, case in enumerate(cases)
]


def changed(obj: Object, change: Object) -> Object:
    """The object with the values of `change` at its paths."""
    made = copy.deepcopy(obj)
    for path, value in change.items():
        *parents, last = path.split(".")
        at: Any = made
        for part in parents:
            at = at[int(part)] if part.isdigit() else at.setdefault(part, {})
        at[int(last) if last.isdigit() else last] = value
    return made


@pytest.mark.parametrize(("name", "change", "causes"), CASES)
def test_a_bad_object_is_refused_as_upstream_refuses_it(name: str, change: Object, causes: list[str]) -> None:
    obj = changed(RECORDED["objects"][name], change)
    assert refusals(obj.pop("apiVersion"), obj.pop("kind"), obj) == causes


@pytest.mark.parametrize("name", RECORDED["objects"])
def test_the_objects_themselves_are_good(name: str) -> None:
    obj = copy.deepcopy(RECORDED["objects"][name])
    assert refusals(obj.pop("apiVersion"), obj.pop("kind"), obj) == []
