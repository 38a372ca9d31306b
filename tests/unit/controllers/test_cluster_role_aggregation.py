"""Aggregated cluster roles follow the roles that they select."""

from __future__ import annotations

from typing import Any

from kubetree.api.selectors import label_selector
from kubetree.apiserver.authorization.bootstrap import policy
from kubetree.controllers.cluster_role_aggregation import CLUSTER_ROLE, aggregated, aggregated_roles, reconcile
from kubetree.controllers.plan import NOTHING, Update
from kubetree.controllers.snapshot import ObjectSnapshot
from rbac_objects import role, rule

Object = dict[str, Any]


def labelled(name: str, *rules: Object, **labels: str) -> Object:
    found = role(name, *rules)
    found["metadata"]["labels"] = {key.replace("_", "-"): value for key, value in labels.items()}
    return found


def aggregating(name: str, *rules: Object, **labels: str) -> Object:
    return role(name, *rules) | {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": labels}]}}


PODS, SECRETS = rule("get", "pods"), rule("get", "secrets")


def test_rules_are_gathered_in_order_of_names_and_once() -> None:
    whole = aggregating("whole", to="whole")
    parts = [labelled("b", SECRETS, PODS, to="whole"), labelled("a", PODS, to="whole"), labelled("c", rule("list", "pods"), to="other")]
    snapshot = ObjectSnapshot([whole, *parts])
    assert reconcile(snapshot, ("", "whole"), None).actions == (Update(CLUSTER_ROLE, {**whole, "rules": [PODS, SECRETS]}),)  # type: ignore[arg-type]
    assert list(aggregated_roles(parts[0], snapshot)) == [("", "whole")]


def test_nothing_is_written_when_nothing_changes() -> None:
    snapshot = ObjectSnapshot([aggregating("whole", PODS, to="whole"), labelled("a", PODS, to="whole")])
    assert reconcile(snapshot, ("", "whole"), None) == NOTHING  # type: ignore[arg-type]
    assert reconcile(snapshot, ("", "a"), None) == NOTHING  # type: ignore[arg-type]


def test_the_bootstrap_roles_come_as_this_controller_would_make_them() -> None:
    roles = sorted(policy.cluster_roles(), key=lambda found: str(found["metadata"]["name"]))
    whole = [found for found in roles if "aggregationRule" in found]
    assert [found["metadata"]["name"] for found in whole] == ["admin", "edit", "view"]
    for found in whole:
        assert label_selector(found["aggregationRule"]["clusterRoleSelectors"][0])
        assert aggregated(found, roles) == found["rules"]
