"""Writes are refused for what upstream refuses them for, in its words and its order: a recorded table."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from api_objects import changes, refusals

Object = dict[str, Any]

RECORDED: Object = {"objects": {}, "refusals": {}, "updates": {}}
for file in ("refusals.yaml", "optional_refusals.yaml"):
    read = yaml.load((Path(__file__).parent / file).read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for sort in RECORDED:
        RECORDED[sort] |= read[sort]


def recorded(sort: str) -> list[Any]:
    return [
        pytest.param(name, case, id=f"{name}-{'+'.join(case['change'])}-{i}")
        for name, cases in RECORDED[sort].items()
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


@pytest.mark.parametrize(("name", "case"), recorded("refusals"))
def test_a_bad_object_is_refused_as_upstream_refuses_it(name: str, case: Object) -> None:
    obj = changed(RECORDED["objects"][name], case["change"])
    assert refusals(obj.pop("apiVersion"), obj.pop("kind"), obj) == case["causes"]


@pytest.mark.parametrize(("name", "case"), recorded("updates"))
def test_a_bad_change_is_refused_as_upstream_refuses_it(name: str, case: Object) -> None:
    obj = copy.deepcopy(RECORDED["objects"][name])
    found = changes(obj.pop("apiVersion"), obj.pop("kind"), obj, case["change"], case.get("subresource", ""))
    assert found == case["causes"]


@pytest.mark.parametrize("name", RECORDED["objects"])
def test_the_objects_themselves_are_good(name: str) -> None:
    obj = copy.deepcopy(RECORDED["objects"][name])
    assert refusals(obj.pop("apiVersion"), obj.pop("kind"), obj) == []
