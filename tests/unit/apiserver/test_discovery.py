"""Discovery documents, made of the table of kinds."""

from __future__ import annotations

from kubetree.api.kind_table import builtin
from kubetree.apiserver.discovery import documents

KINDS = builtin()


def test_the_preferred_version_comes_first() -> None:
    assert documents.groups(KINDS)["autoscaling"] == ["v2", "v1"]
    listed = documents.group_list(KINDS)["groups"]
    assert next(g for g in listed if g["name"] == "apps")["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}


def test_a_resource_list_has_subresources_with_their_own_kinds() -> None:
    found = documents.resource_list(KINDS, "apps", "v1")
    assert found is not None
    rows = {r["name"]: r for r in found["resources"]}
    assert rows["deployments"]["shortNames"] == ["deploy"]
    assert rows["deployments/scale"] == {
        "name": "deployments/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    }
    assert documents.resource_list(KINDS, "apps", "v9") is None


def test_storage_hashes_are_those_of_upstream() -> None:
    core = documents.resource_list(KINDS, "", "v1")
    assert core is not None
    assert next(r for r in core["resources"] if r["name"] == "configmaps")["storageVersionHash"] == "qFsyl6wFWjQ="


def test_aggregated_discovery_tells_the_same() -> None:
    found = documents.aggregated(KINDS, legacy=False, version="v2")
    apps = next(i for i in found["items"] if i["metadata"]["name"] == "apps")
    deployments = next(r for r in apps["versions"][0]["resources"] if r["resource"] == "deployments")
    assert deployments["scope"] == "Namespaced"
    assert {s["subresource"] for s in deployments["subresources"]} == {"scale", "status"}
    assert documents.aggregated(KINDS, legacy=True, version="v2")["items"][0]["versions"][0]["version"] == "v1"
