"""What is asked of any object."""

from kubetree.api.kind_table import kind
from kubetree.api.objects import controller_of, copy, is_controlled_by, is_deleting, labels, namespace_name, owner_reference, semantic_equal

OWNER = {"metadata": {"name": "web", "namespace": "ns", "uid": "u1"}}


def test_a_copy_shares_nothing() -> None:
    original = {"metadata": {"labels": {"a": "b"}}, "spec": {"list": [{"x": 1}]}}
    twin = copy(original)
    twin["spec"]["list"][0]["x"] = 2
    assert original["spec"]["list"][0]["x"] == 1


def test_owners() -> None:
    reference = owner_reference(kind("apps/v1", "ReplicaSet"), OWNER)
    pod = {"metadata": {"ownerReferences": [{"uid": "u0"}, reference]}}
    assert reference["apiVersion"] == "apps/v1" and reference["blockOwnerDeletion"] is True
    assert controller_of(pod) == reference and is_controlled_by(pod, OWNER)
    assert controller_of({"metadata": {}}) is None


def test_what_is_missing_reads_as_empty() -> None:
    assert namespace_name({}) == ("", "") and labels({"metadata": {"labels": None}}) == {}
    assert is_deleting({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}) and not is_deleting({})


def test_semantic_equality_takes_empty_for_absent() -> None:
    assert semantic_equal({"a": {}, "b": None, "c": [1]}, {"c": [1], "d": []})
    assert not semantic_equal({"a": [1]}, {"a": [1, None]}) and not semantic_equal({"a": 0}, {})
    assert not semantic_equal({"a": 1}, {"a": True})
