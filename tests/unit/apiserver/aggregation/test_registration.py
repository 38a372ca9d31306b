"""What becomes of APIServices that this server wants, has, or used to have. The cases are those of upstream's autoregister controller."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.kind_table import builtin
from kubetree.apiserver.aggregation.api_services import ALWAYS, AUTOMANAGED, ON_START, by_group, with_condition
from kubetree.apiserver.aggregation.registration import CREATE, DELETE, UPDATE, Wanted, built_in, of_definitions, step

SPEC, OTHER = {"group": "a", "version": "v1"}, {"group": "a", "version": "v1", "service": {"name": "x"}}
START, KEEP = Wanted(SPEC, ON_START), Wanted(SPEC, ALWAYS)


def standing(managed: str | None, spec: dict[str, Any] = OTHER) -> dict[str, Any]:
    return {"metadata": {"labels": {AUTOMANAGED: managed} if managed else {}}, "spec": spec}


@pytest.mark.parametrize(
    ("wanted", "found", "at_start", "done", "todo"),
    [
        (None, None, False, False, ""),
        (START, None, False, False, CREATE),
        (START, None, False, True, ""),
        (KEEP, None, False, True, CREATE),
        (None, standing(None), True, False, ""),
        (START, standing(None), True, False, ""),
        (KEEP, standing(None), True, False, ""),
        (None, standing(ON_START), False, False, ""),
        (START, standing(ON_START), False, False, ""),
        (None, standing(ON_START), True, False, DELETE),
        (None, standing(ON_START), True, True, ""),
        (START, standing(ON_START), True, False, UPDATE),
        (START, standing(ON_START), True, True, ""),
        (START, standing(ON_START, SPEC), True, False, ""),
        (None, standing(ALWAYS), False, True, DELETE),
        (START, standing(ALWAYS), False, False, UPDATE),
        (START, standing(ALWAYS), False, True, ""),
        (KEEP, standing(ALWAYS), False, True, UPDATE),
        (KEEP, standing(ALWAYS, SPEC), False, True, ""),
    ],
)
def test_one_step(wanted: Wanted | None, found: dict[str, Any] | None, at_start: bool, done: bool, todo: str) -> None:
    assert step(wanted, found, at_start=at_start, done=done) == todo


def test_every_built_in_version_is_registered_but_that_of_api_services() -> None:
    kinds = builtin()
    served = {f"{row.version}.{row.group}" for row in kinds} - {"v1.apiregistration.k8s.io"}
    assert set(built_in(kinds)) == served


def test_served_versions_of_custom_resources_are_registered_unless_built_in() -> None:
    def definition(group: str, *versions: tuple[str, bool]) -> dict[str, Any]:
        return {"spec": {"group": group, "versions": [{"name": name, "served": served} for name, served in versions]}}

    found = of_definitions([definition("a.example", ("v1", True), ("v2", False)), definition("apps", ("v1", True))])
    assert found == {
        "v1.a.example": Wanted({"group": "a.example", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100}, ALWAYS)
    }


def test_groups_go_by_priority_then_name_and_versions_within() -> None:
    def service(group: str, version: str, group_priority: int, version_priority: int) -> dict[str, Any]:
        spec = {"group": group, "version": version, "groupPriorityMinimum": group_priority, "versionPriority": version_priority}
        return {"metadata": {"name": f"{version}.{group}"}, "spec": spec}

    found = by_group(
        [
            service("b", "v1", 10, 5),
            service("a", "v1", 10, 5),
            service("c", "v1", 20, 5),
            service("a", "v2beta1", 10, 5),
            service("a", "v0", 10, 9),
        ]
    )
    assert list(found) == ["c", "a", "b"]
    assert found["a"] == ["v0", "v1", "v2beta1"]


def test_a_condition_keeps_its_time_as_long_as_it_does_not_turn() -> None:
    obj = with_condition({}, "False", "ServiceNotFound", "", "1")
    obj = with_condition(obj, "False", "MissingEndpoints", "", "2")
    assert obj["status"]["conditions"][0] | {"message": ""} == {
        "type": "Available",
        "status": "False",
        "lastTransitionTime": "1",
        "reason": "MissingEndpoints",
        "message": "",
    }
    assert with_condition(obj, "True", "Passed", "", "3")["status"]["conditions"][0]["lastTransitionTime"] == "3"
