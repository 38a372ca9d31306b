"""Ownership of new objects is remembered by template; it must be what would be found anew, whatever differs between two objects."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.apply import track_update
from kubetree.api.apply.track import FirstFields, _first_fields
from kubetree.api.kind_table import kind

POD = kind("v1", "Pod")
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "1", "controller": True}


def pod(more: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "nginx"}], **(more or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "n", **metadata}, "spec": spec}


OBJECTS = [
    pod(),
    pod(labels={"a": "1"}),
    pod(labels={"a": "2"}),
    pod(labels={"b": "1"}),
    pod(labels={}),
    pod(annotations={"a": "1"}),
    pod(annotations={"b": "1", "a": "2"}),
    pod(generateName="x-"),
    pod(generateName=""),
    pod(ownerReferences=[OWNER]),
    pod(ownerReferences=[{**OWNER, "uid": "2"}]),
    pod(ownerReferences=[]),
    pod(finalizers=["a/b"]),
    pod(finalizers=["a/c"]),
    pod({"nodeName": "x"}),
    {**pod(), "status": {"phase": "Running"}},
]


def test_what_is_remembered_is_what_is_found() -> None:
    first = FirstFields()
    for _ in range(2):
        for obj in OBJECTS:
            assert first.fields(POD, "", obj) == _first_fields(POD, "", obj)


def test_memory_is_bounded() -> None:
    first = FirstFields(most=3)
    for n in range(10):
        first.fields(POD, "", pod({"nodeName": f"n{n}"}))
    assert len(first._known) == 3


@pytest.mark.parametrize("obj", OBJECTS)
def test_the_entry_is_a_manager_s(obj: dict[str, Any]) -> None:
    new = {**obj, "metadata": dict(obj["metadata"])}
    track_update(POD, None, new, manager="m", now="2026-01-01T00:00:00Z")
    (entry,) = new["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"], entry["fieldsV1"]) == (
        "m",
        "Update",
        "v1",
        _first_fields(POD, "", obj),
    )
