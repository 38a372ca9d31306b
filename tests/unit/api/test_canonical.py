"""Objects as Go's structs have them: nothing that they cannot say, everything that they always say."""

import pytest

from kubetree.api.canonical import always, settle, write_nulls
from kubetree.api.kind_table import ROWS
from kubetree.api.protobuf import decode, encode
from random_objects import RandomObjects


def settled(api_version: str, kind: str, **fields):
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, **fields}
    settle(obj)
    return {name: value for name, value in obj.items() if name in fields or name not in ("apiVersion", "kind", "metadata")}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"data": {}}, {}),
        ({"data": {"a": ""}}, {"data": {"a": ""}}),
        ({"data": None, "immutable": False}, {"immutable": False}),
    ],
)
def test_empty_values_go_unless_go_has_a_pointer(given, kept) -> None:
    assert settled("v1", "ConfigMap", **given) == kept


def test_what_has_no_omitempty_is_written_as_null() -> None:
    assert settled("rbac.authorization.k8s.io/v1", "Role") == {"rules": None}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": [], "metadata": {"name": "a"}}
    settle(role)
    assert role["rules"] == [], "who said it owns it"
    assert write_nulls(role) and role["rules"] is None
    assert not write_nulls(role)


def test_structs_held_by_value_are_there() -> None:
    event = settled("v1", "Event", involvedObject={"kind": "Pod"}, count=0, reason="")
    assert event == {
        "involvedObject": {"kind": "Pod"}, "source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": None,
        "reportingComponent": "", "reportingInstance": "",
    }  # fmt: skip


def test_the_inside_of_lists_and_maps_is_settled_too() -> None:
    container = {"name": "c", "args": [], "stdin": False, "env": [{"name": "A", "value": ""}], "securityContext": {"runAsUser": 0}}
    spec = {"containers": [container], "volumes": [], "hostNetwork": False, "terminationGracePeriodSeconds": 0}
    assert settled("v1", "Pod", spec=spec)["spec"] == {
        "containers": [{"name": "c", "env": [{"name": "A"}], "securityContext": {"runAsUser": 0}, "resources": {}}],
        "terminationGracePeriodSeconds": 0,
    }


def test_a_pod_that_says_nothing_empty_is_left_alone() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}}
    settle(pod, b'{"spec":{"containers":[{"name":"c"}]}}')
    assert "status" not in pod


def test_what_a_definition_always_has() -> None:
    assert always("io.k8s.api.core.v1.Container") == {"name": "", "resources": {}}
    assert always("io.k8s.api.core.v1.PodCondition") == {"type": "", "status": "", "lastProbeTime": None, "lastTransitionTime": None}
    assert always("com.example.v1.Thing") == {}


@pytest.mark.parametrize("row", [row for row in ROWS if row.stored], ids=lambda row: f"{row.api_version} {row.kind}")
def test_protobuf_says_the_same(row) -> None:
    """A canonical object comes back from protobuf as it was."""
    for seed in range(3):
        obj = RandomObjects(seed).of(row)
        settle(obj)
        write_nulls(obj)
        back = decode(encode(obj))
        settle(back)
        assert back == obj
