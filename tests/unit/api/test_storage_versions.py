"""StorageVersion objects: entries of servers, and what follows from them."""

from __future__ import annotations

from typing import Any

from kubetree.api.storage_versions import object_name, server_entry, with_entries, with_entry

FIRST, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
SET, UNSET = ("True", "CommonEncodingVersionSet"), ("False", "CommonEncodingVersionUnset")


def entry(server: str, version: str = "v1") -> dict[str, Any]:
    return server_entry(server, version, [version, "v0"], [version])


def condition(obj: dict[str, Any]) -> tuple[str, str, str]:
    (found,) = obj["status"]["conditions"]
    assert found["type"] == "AllEncodingVersionsEqual"
    return found["status"], found["reason"], found["lastTransitionTime"]


def test_names() -> None:
    assert (object_name("", "pods"), object_name("apps", "deployments")) == ("core.pods", "apps.deployments")


def test_a_server_has_one_entry_and_all_agree_or_do_not() -> None:
    empty: dict[str, Any] = {"metadata": {"name": "core.pods"}, "spec": {}}
    one = with_entry(empty, entry("a"), FIRST)
    assert one["status"]["commonEncodingVersion"] == "v1" and condition(one) == (*SET, FIRST)
    assert one["status"]["storageVersions"] == [
        {"apiServerID": "a", "encodingVersion": "v1", "decodableVersions": ["v1", "v0"], "servedVersions": ["v1"]}
    ]
    assert with_entry(one, entry("a"), LATER) == one
    two = with_entry(one, entry("b", "v2"), LATER)
    assert [each["apiServerID"] for each in two["status"]["storageVersions"]] == ["a", "b"]
    assert "commonEncodingVersion" not in two["status"] and condition(two) == (*UNSET, LATER)
    assert "status" not in empty


def test_another_common_version_is_a_transition() -> None:
    one = with_entry({"metadata": {}}, entry("a"), FIRST)
    other = with_entry(one, entry("a", "v2"), LATER)
    assert other["status"]["commonEncodingVersion"] == "v2" and condition(other) == (*SET, LATER)


def test_without_entries_there_is_no_common_version() -> None:
    one = with_entry({"metadata": {}}, entry("a"), FIRST)
    assert condition(with_entries(one, [], LATER)) == (*UNSET, LATER)


def test_other_conditions_stay() -> None:
    own = {"type": "Mine", "status": "True"}
    made = with_entry({"metadata": {"generation": 3}, "status": {"conditions": [own]}}, entry("a"), FIRST)
    assert made["status"]["conditions"][0] == own and made["status"]["conditions"][1]["observedGeneration"] == 3
