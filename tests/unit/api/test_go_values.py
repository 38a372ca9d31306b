"""Objects as Go's types have them: nothing that they cannot say, everything that they always say."""

import pytest

from kubetree.api.kind_table import EVERY_ROW
from kubetree.api.protobuf import decode, encode
from kubetree.api.schema import name_of
from kubetree.api.schema.go_values import always, drop_zeros, dropped, fill_always, write_nulls
from random_objects import RandomObjects

CORE = "io.k8s.api.core.v1."


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("ConfigMap", {"data": {}}, {}),
        ("ConfigMap", {"data": {"a": ""}}, {"data": {"a": ""}}),
        ("ConfigMap", {"data": None, "immutable": False}, {"immutable": False}),
        ("Container", {"name": "", "args": [], "stdin": False, "resources": {}}, {"name": "", "resources": {}}),
        ("Pod", {"spec": {"volumes": [], "hostNetwork": False, "terminationGracePeriodSeconds": 0}}, {"spec": {"terminationGracePeriodSeconds": 0}}),
        ("Volume", {"name": "v", "configMap": {"items": [], "optional": False}}, {"name": "v", "configMap": {"optional": False}}),
    ],
)  # fmt: skip
def test_zero_values_go_unless_go_has_a_pointer_or_no_omitempty(name, given, kept) -> None:
    drop_zeros(CORE + name, given)
    assert given == kept


def test_what_go_holds_by_value_or_writes_in_any_case_is_filled_in() -> None:
    event = {"involvedObject": {"kind": "Pod"}}
    fill_always(CORE + "Event", event)
    assert event == {
        "metadata": {}, "involvedObject": {"kind": "Pod"}, "source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": None,
        "reportingComponent": "", "reportingInstance": "",
    }  # fmt: skip
    role = {}
    fill_always("io.k8s.api.rbac.v1.Role", role)
    assert role == {"metadata": {}, "rules": None}


def test_an_empty_struct_is_filled_in_as_well() -> None:
    pod = {"status": {"containerStatuses": [{"state": {"running": {}}}]}}
    fill_always(CORE + "Pod", pod)
    assert pod["status"]["containerStatuses"][0]["state"]["running"] == {"startedAt": None}


def test_an_empty_list_of_policies_is_something_to_be_refused() -> None:
    rules = {"policies": [], "selectPolicy": "Max"}
    drop_zeros("io.k8s.api.autoscaling.v2.HPAScalingRules", rules)
    assert rules["policies"] == []


def test_an_empty_list_without_omitempty_is_owned_and_stored_as_null() -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": [], "metadata": {"name": "a"}}
    drop_zeros("io.k8s.api.rbac.v1.Role", role)
    assert role["rules"] == []
    assert write_nulls(role) and role["rules"] is None
    assert not write_nulls(role)
    assert not write_nulls({"apiVersion": "example.com/v1", "kind": "Thing", "rules": []})


def test_what_a_definition_always_has_and_drops() -> None:
    assert always(CORE + "Container") == {"name": "", "resources": {}}
    assert always(CORE + "ResourceFieldSelector") == {"resource": "", "divisor": "0"}
    assert always("com.example.v1.Thing") == {} and dropped("com.example.v1.Thing") == frozenset()
    assert {"stdin", "args", "image"} <= dropped(CORE + "Container")
    assert "runAsUser" not in dropped(CORE + "SecurityContext"), "a pointer"


@pytest.mark.parametrize("row", [row for row in EVERY_ROW if row.stored], ids=lambda row: f"{row.api_version} {row.kind}")
def test_protobuf_says_the_same(row) -> None:
    """What Go's types have is the same message after a journey through protobuf."""
    name = name_of(row)
    for seed in range(3):
        obj = RandomObjects(seed).of(row)
        drop_zeros(name, obj)
        write_nulls(obj)
        fill_always(name, obj)
        back = decode(encode(obj))
        drop_zeros(name, back)
        fill_always(name, back)
        assert encode(back) == encode(obj)
