"""The bootstrap policy appears on a new server, comes back when it was damaged, and leaves an administrator's additions alone."""

from __future__ import annotations

from kubetree.api.feature_gates import resolve
from kubetree.apiserver.authorization.bootstrap import policy
from kubetree.apiserver.authorization.bootstrap.reconcile import reconcile_bootstrap_policy
from kubetree.apiserver.authorization.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from listed_objects import ListedObjects

KINDS = (CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING)


async def started() -> ListedObjects:
    objects = ListedObjects()
    await reconcile_bootstrap_policy(objects)
    return objects


async def test_everything_is_created() -> None:
    objects = await started()
    counts = [len(objects.of(row)) for row in KINDS]
    assert counts == [len(found()) for found in (policy.cluster_roles, policy.cluster_role_bindings, policy.roles, policy.role_bindings)]
    admin = await objects.get(CLUSTER_ROLE, "", "admin")
    assert admin["aggregationRule"] == {"clusterRoleSelectors": [{"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}}]}
    assert admin["metadata"]["labels"] == {"kubernetes.io/bootstrapping": "rbac-defaults"}
    assert admin["metadata"]["annotations"] == {"rbac.authorization.kubernetes.io/autoupdate": "true"}


async def test_a_second_start_writes_nothing() -> None:
    objects = await started()
    before = [objects.generation(row) for row in KINDS]
    await reconcile_bootstrap_policy(objects)
    assert [objects.generation(row) for row in KINDS] == before


async def test_what_was_taken_away_returns_and_what_was_added_stays() -> None:
    objects = await started()
    added = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["things"]}
    await objects.update(CLUSTER_ROLE, "", "system:basic-user", lambda role: role | {"rules": [added]})
    await objects.update(CLUSTER_ROLE_BINDING, "", "cluster-admin", lambda bound: bound | {"subjects": []})
    await reconcile_bootstrap_policy(objects)
    rules = (await objects.get(CLUSTER_ROLE, "", "system:basic-user"))["rules"]
    assert rules[0] == added
    assert {"verbs": ["create"], "apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews"]} in rules
    assert [s["name"] for s in (await objects.get(CLUSTER_ROLE_BINDING, "", "cluster-admin"))["subjects"]] == ["system:masters"]


async def test_a_protected_role_is_left_alone() -> None:
    objects = await started()
    protect = {"annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}
    await objects.update(CLUSTER_ROLE, "", "system:basic-user", lambda role: role | {"rules": [], "metadata": role["metadata"] | protect})
    await reconcile_bootstrap_policy(objects)
    assert (await objects.get(CLUSTER_ROLE, "", "system:basic-user"))["rules"] == []


async def test_a_binding_to_the_wrong_role_is_made_anew() -> None:
    objects = await started()
    wrong = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    await objects.update(CLUSTER_ROLE_BINDING, "", "system:discovery", lambda bound: bound | {"roleRef": wrong})
    await reconcile_bootstrap_policy(objects)
    assert (await objects.get(CLUSTER_ROLE_BINDING, "", "system:discovery"))["roleRef"]["name"] == "system:discovery"


async def test_kinds_behind_gates_have_their_roles_with_them() -> None:
    gated = resolve({"AllAlpha": True, "AllBeta": True})
    objects, plain = ListedObjects(), await started()
    await reconcile_bootstrap_policy(objects, gated)
    added = {obj["metadata"]["name"] for obj in objects.of(CLUSTER_ROLE)} - {obj["metadata"]["name"] for obj in plain.of(CLUSTER_ROLE)}
    assert {"system:cluster-trust-bundle-discovery", "system:controller:storage-version-garbage-collector"} <= added
    node = await objects.get(CLUSTER_ROLE, "", "system:node")
    resources = {resource for rule in node["rules"] for resource in rule.get("resources", ())}
    assert {"clustertrustbundles", "podcertificaterequests"} <= resources


async def test_a_binding_that_was_part_of_another_one_is_like_it() -> None:
    objects = await started()
    await objects.delete(CLUSTER_ROLE_BINDING, "", "system:public-info-viewer")
    own = {"annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false", "mine": "yes"}}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "insiders"}]
    await objects.update(
        CLUSTER_ROLE_BINDING, "", "system:discovery", lambda bound: bound | {"subjects": subjects, "metadata": bound["metadata"] | own}
    )
    await reconcile_bootstrap_policy(objects)
    made = await objects.get(CLUSTER_ROLE_BINDING, "", "system:public-info-viewer")
    assert (made["subjects"], made["metadata"]["annotations"]) == (subjects, own["annotations"])
    assert made["roleRef"]["name"] == "system:public-info-viewer"
