"""Discovery documents, made of the table of kinds."""

from __future__ import annotations

from functools import cmp_to_key

from kubetree.api.kind_table import builtin
from kubetree.api.version_order import version_order
from kubetree.apiserver.discovery import documents
from kubetree.apiserver.discovery.documents import Served

KINDS = builtin()


def test_the_preferred_version_comes_first() -> None:
    assert documents.groups(KINDS)["autoscaling"] == ["v2", "v1"]
    listed = documents.group_list(documents.groups(KINDS))["groups"]
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
    found = documents.aggregated(KINDS, legacy=False)
    apps = next(i for i in found["items"] if i["metadata"]["name"] == "apps")
    deployments = next(r for r in apps["versions"][0]["resources"] if r["resource"] == "deployments")
    assert deployments["scope"] == "Namespaced"
    assert {s["subresource"] for s in deployments["subresources"]} == {"scale", "status"}
    assert documents.aggregated(KINDS, legacy=True)["items"][0]["versions"][0]["version"] == "v1"


def test_groups_of_other_servers_come_by_their_priority_and_before_ones_own() -> None:
    other = Served("apps", "v1", 100, 100, {"version": "v1", "freshness": "Stale"})
    high = Served("zoo.example.com", "v1", 19000, 1, {"version": "v1"})
    low = [Served("zoo.example.com", version, 10, 1, {"version": version}) for version in ("v1beta1", "v2")]
    found = documents.aggregated(KINDS, [other, high, *low], legacy=False)["items"]
    assert found[1]["metadata"]["name"] == "zoo.example.com"
    assert [v["version"] for v in found[1]["versions"]] == ["v2", "v1", "v1beta1"]
    assert found[-1] == {"metadata": {"name": "apps"}, "versions": [other.document]}


def test_versions_go_from_stable_and_new_to_old_and_strange() -> None:
    wanted = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]
    assert sorted(set(wanted), key=cmp_to_key(version_order)) == wanted
