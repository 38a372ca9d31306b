"""Which names a definition gets, and what its conditions say."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kubetree.api.custom_resources import conditions as c
from kubetree.api.objects import condition

Object = dict[str, Any]
NOW, LATER = "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"


def crd(plural: str = "foos", kind: str = "Foo", schema: Object | None = None, group: str = "example.com", **names: Any) -> Object:
    version = {"name": "v1", "schema": {"openAPIV3Schema": schema or {"type": "object"}}}
    given = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List", **names}
    return {"metadata": {"name": f"{plural}.{group}"}, "spec": {"group": group, "names": given, "versions": [version]}, "status": {}}


def accepted(**names: Any) -> Object:
    obj = crd(**names)
    assert c.accept_names(obj, [obj], NOW)
    assert c.establish(obj, NOW)
    return obj


def said(obj: Object, type: str) -> tuple[str, str, str] | None:
    found = condition(obj, type)
    return (found["status"], found["reason"], found["message"]) if found else None


def test_free_names_are_accepted_then_the_definition_is_established() -> None:
    obj = crd(shortNames=["f"], categories=["all"])
    assert not c.establish(obj, NOW)
    assert c.accept_names(obj, [obj], NOW)
    assert obj["status"]["acceptedNames"] == obj["spec"]["names"]
    assert said(obj, "NamesAccepted") == ("True", "NoConflicts", "no conflicts found")
    assert said(obj, "Established") == ("False", "Installing", "the initial names have been accepted")
    assert c.establish(obj, LATER)
    assert said(obj, "Established") == ("True", "InitialNamesAccepted", "the initial names have been accepted")
    assert not c.accept_names(obj, [obj], LATER)
    assert not c.establish(obj, LATER)


@pytest.mark.parametrize(
    ("names", "reason", "message"),
    [
        ({"plural": "foos", "kind": "Bar"}, "PluralConflict", '"foos" is already in use'),
        ({"plural": "bars", "kind": "Bar", "singular": "foo"}, "SingularConflict", '"foo" is already in use'),
        ({"plural": "bars", "kind": "Bar", "shortNames": ["b", "f"]}, "ShortNamesConflict", '"f" is already in use'),
        (
            {"plural": "bars", "kind": "Bar", "shortNames": ["foos", "f"]},
            "ShortNamesConflict",
            '["foos" is already in use, "f" is already in use]',
        ),
        ({"plural": "bars", "kind": "Foo", "singular": "bar", "listKind": "BarList"}, "KindConflict", '"Foo" is already in use'),
        ({"plural": "bars", "kind": "Bar", "listKind": "FooList"}, "ListKindConflict", '"FooList" is already in use'),
    ],
)
def test_names_that_are_taken_are_not_accepted(names: Object, reason: str, message: str) -> None:
    first, second = accepted(shortNames=["f"]), crd(**names)
    assert c.accept_names(second, [first, second], NOW)
    assert said(second, "NamesAccepted") == ("False", reason, message)
    assert said(second, "Established") == ("False", "NotAccepted", "not all names are accepted")
    assert not c.establish(second, NOW)


def test_an_established_definition_keeps_what_it_has_when_it_asks_for_more() -> None:
    first, second = accepted(shortNames=["f"]), accepted(plural="bars", kind="Bar")
    second["spec"]["names"]["shortNames"] = ["f"]
    assert c.accept_names(second, [first, second], LATER)
    assert said(second, "NamesAccepted") == ("False", "ShortNamesConflict", '"f" is already in use')
    assert said(second, "Established") == ("True", "InitialNamesAccepted", "the initial names have been accepted")
    assert "shortNames" not in second["status"]["acceptedNames"]


def test_a_definition_whose_webhook_nobody_could_trust_waits() -> None:
    obj = crd()
    bundle = base64.b64encode(b"garbage").decode()
    obj["spec"]["conversion"] = {"strategy": "Webhook", "webhook": {"clientConfig": {"caBundle": bundle}}}
    assert c.accept_names(obj, [obj], NOW)
    assert c.establish(obj, NOW)
    assert said(obj, "Established") == ("False", "InvalidCABundle", "The conversion webhook CABundle is invalid")
    assert not c.establish(obj, LATER)
    del obj["spec"]["conversion"]
    assert c.establish(obj, LATER)
    assert said(obj, "Established") == ("True", "InitialNamesAccepted", "the initial names have been accepted")


def test_a_schema_that_is_not_structural_is_told_of_until_it_is() -> None:
    obj = crd(schema={"type": "object", "properties": {"a": {}}})
    assert c.judge_schema(obj, NOW)
    status, reason, message = said(obj, "NonStructuralSchema") or ("", "", "")
    assert (status, reason) == ("True", "Violations")
    assert message == (
        "spec.versions[0].schema.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields"
    )
    assert not c.judge_schema(obj, LATER)
    obj["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["a"] = {"type": "string"}
    assert c.judge_schema(obj, LATER)
    assert said(obj, "NonStructuralSchema") is None


@pytest.mark.parametrize(
    ("annotation", "status", "reason"),
    [
        (None, "False", "MissingAnnotation"),
        ("unapproved, because", "False", "UnapprovedAnnotation"),
        ("https://github.com/kubernetes/kubernetes/pull/1", "True", "ApprovedAnnotation"),
        ("whatever", "False", "InvalidAnnotation"),
    ],
)
def test_groups_of_the_project_need_approval(annotation: str | None, status: str, reason: str) -> None:
    obj = crd(group="x.k8s.io")
    if annotation is not None:
        obj["metadata"]["annotations"] = {"api-approved.kubernetes.io": annotation}
    assert c.judge_approval(obj, NOW)
    assert (said(obj, "KubernetesAPIApprovalPolicyConformant") or ())[:2] == (status, reason)
    assert not c.judge_approval(obj, LATER)


def test_other_groups_need_none() -> None:
    assert not c.judge_approval(crd(), NOW)


def test_a_deleted_definition_waits_for_its_objects() -> None:
    obj = crd()
    c.mark_deleted(obj, NOW)
    c.mark_deleted(obj, NOW)
    assert obj["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert obj["metadata"]["deletionTimestamp"] == NOW
    assert (said(obj, "Terminating") or ())[:2] == ("True", "InstanceDeletionPending")


def test_the_time_of_a_condition_is_that_of_its_status() -> None:
    obj = crd()
    c.set_condition(obj, "T", "True", "A", "a", NOW)
    c.set_condition(obj, "T", "True", "B", "b", LATER)
    assert condition(obj, "T") == {"type": "T", "status": "True", "reason": "B", "message": "b", "lastTransitionTime": NOW}
    c.set_condition(obj, "T", "False", "B", "b", LATER)
    assert (condition(obj, "T") or {})["lastTransitionTime"] == LATER
