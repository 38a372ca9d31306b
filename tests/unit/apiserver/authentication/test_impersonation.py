"""Acting as someone else: the narrow modes with their two questions, and the old verb."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from kubetree.api.errors import BadRequest, Forbidden
from kubetree.apiserver.authentication.impersonation import impersonate
from kubetree.apiserver.authentication.user import MASTERS_GROUP, NODE_NAME, POD_NAME, User
from kubetree.apiserver.authorization.attributes import Answer, Attributes, Decision
from kubetree.apiserver.authorization.rbac import RBAC
from listed_objects import ListedObjects
from rbac_objects import binding, role, rule, user

EVERYONE = "system:authenticated"
BOSS = User("boss", groups=(EVERYONE,))
GROUP = "authentication.k8s.io"


class Rights:
    """Allows the questions that `allowed` has, as `verb resource/subresource name`, and keeps all that was asked."""

    def __init__(self, *allowed: str) -> None:
        self._allowed = set(allowed)
        self.asked: list[Attributes] = []

    def authorize(self, attributes: Attributes) -> Answer:
        self.asked.append(attributes)
        resource = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
        question = f"{attributes.verb} {resource} {attributes.name}".strip()
        return Answer(Decision.ALLOW if question in self._allowed else Decision.NO_OPINION)


def rbac(*rules: dict[str, Any]) -> RBAC:
    return RBAC(ListedObjects(role("r", *rules), binding("b", "ClusterRole", "r", user("boss"))).cached())


def acting(authorizer: Any, name: str, *headers: tuple[str, str], requestor: User = BOSS) -> User | None:
    listing = Attributes(requestor, "list", "/api/v1/pods", version="v1", resource="pods")
    sent = [("Impersonate-User", name)] if name else []
    found = impersonate(CIMultiDict([*sent, *headers]), listing, authorizer)
    return found[0] if found is not None else None


def test_the_old_verb_is_asked_for_each_part() -> None:
    authorizer = rbac(rule("impersonate", "users", names="jane"), rule("impersonate", "userextras/scopes", GROUP))
    assert acting(authorizer, "jane") == User("jane", groups=(EVERYONE,))
    with pytest.raises(Forbidden):
        acting(authorizer, "joe")
    with pytest.raises(Forbidden):
        acting(authorizer, "jane", ("Impersonate-Group", "admins"))
    acted = acting(authorizer, "jane", ("Impersonate-Extra-Scopes", "all"))
    assert acted is not None and acted.extra == {"scopes": ("all",)}


def test_the_old_verb_gives_a_node_no_group_and_any_user_any_group() -> None:
    assert acting(Rights("impersonate users system:node:n1"), "system:node:n1") == User("system:node:n1", groups=(EVERYONE,))
    rights = Rights("impersonate users jane", f"impersonate groups {MASTERS_GROUP}")
    assert acting(rights, "jane", ("Impersonate-Group", MASTERS_GROUP)) == User("jane", groups=(MASTERS_GROUP, EVERYONE))
    anonymous = acting(Rights("impersonate users system:anonymous"), "system:anonymous")
    assert anonymous == User("system:anonymous", groups=("system:unauthenticated",))


def test_the_first_refusal_is_told() -> None:
    wording = 'pods is forbidden: User "boss" cannot impersonate-on:user-info:list resource "pods" in API group "" at the cluster scope'
    with pytest.raises(Forbidden, match=wording):
        acting(Rights(), "jane")
    with pytest.raises(Forbidden, match=r'users.authentication.k8s.io "jane" is forbidden: User "boss" cannot impersonate:user-info'):
        acting(Rights("impersonate-on:user-info:list pods"), "jane")


def test_a_narrow_right_holds_for_its_requests_only() -> None:
    allowed = ("impersonate-on:user-info:list pods", "impersonate:user-info users jane", "impersonate:user-info groups devs")
    rights = Rights(*allowed)
    assert acting(rights, "jane", ("Impersonate-Group", "devs")) == User("jane", groups=("devs", EVERYONE))
    assert [question.group for question in rights.asked] == ["", GROUP, GROUP]
    reading = Attributes(BOSS, "get", version="v1", resource="secrets")
    with pytest.raises(Forbidden, match="impersonate-on:user-info:get"):
        impersonate(CIMultiDict({"Impersonate-User": "jane"}), reading, rights)


def test_nodes_and_service_accounts_have_modes_of_their_own_and_fixed_groups() -> None:
    nodes = Rights("impersonate-on:arbitrary-node:list pods", "impersonate:arbitrary-node nodes n1")
    assert acting(nodes, "system:node:n1") == User("system:node:n1", groups=("system:nodes", EVERYONE))
    accounts = Rights("impersonate-on:serviceaccount:list pods", "impersonate:serviceaccount serviceaccounts robot")
    robot = "system:serviceaccount:ns:robot"
    assert acting(accounts, robot) == User(robot, groups=("system:serviceaccounts", "system:serviceaccounts:ns", EVERYONE))
    assert accounts.asked[-1].namespace == "ns"
    with pytest.raises(Forbidden, match="cannot impersonate resource"):
        acting(accounts, robot, ("Impersonate-Group", "devs"))
    everyone = Rights("impersonate-on:user-info:list pods", "impersonate:user-info users system:node:n1")
    with pytest.raises(Forbidden):
        acting(everyone, "system:node:n1")


def test_a_service_account_acts_as_the_node_that_it_runs_on() -> None:
    agent = User("system:serviceaccount:kube-system:agent", extra={NODE_NAME: ("n1",), POD_NAME: ("agent-1",)})
    allowed = ("impersonate-on:associated-node:list pods", "impersonate:associated-node nodes *")
    rights = Rights(*allowed)
    acted = acting(rights, "system:node:n1", requestor=agent)
    assert acted == User("system:node:n1", groups=("system:nodes", EVERYONE))
    keys = {"authentication.kubernetes.io/associated-node-keys": (NODE_NAME, POD_NAME)}
    assert all(question.user.extra == keys for question in rights.asked)
    with pytest.raises(Forbidden, match="arbitrary-node"):
        acting(rights, "system:node:n2", requestor=agent)


@pytest.mark.parametrize(
    ("header", "value", "reason"),
    [
        ("Impersonate-Group", MASTERS_GROUP, "impersonating the system:masters group is not allowed"),
        ("Impersonate-Group", "", "impersonating the empty string group is not allowed"),
        ("Impersonate-Extra-Scopes", "all", r"impersonating an invalid key in extra is not allowed: extra.key: Invalid value: \"scopes\""),
        ("Impersonate-Extra-a.io%2Fb", "", "impersonating the empty string value in extra is not allowed"),
    ],
)
def test_what_no_narrow_right_gives(header: str, value: str, reason: str) -> None:
    with pytest.raises(Forbidden, match=reason):
        acting(Rights("impersonate-on:user-info:list pods", "impersonate:user-info users jane"), "jane", (header, value))


def test_many_groups_are_asked_for_at_once_where_that_is_allowed() -> None:
    groups = [("Impersonate-Group", f"g{number}") for number in range(4)]
    base = ("impersonate-on:user-info:list pods", "impersonate:user-info users jane")
    rights = Rights(*base, "impersonate:user-info groups *")
    acted = acting(rights, "jane", *groups)
    assert acted is not None and len(rights.asked) == 3 and len(acted.groups) == 5
    singly = Rights(*base, *(f"impersonate:user-info groups g{number}" for number in range(4)))
    assert acting(singly, "jane", *groups) == acted


def test_parts_of_nobody_are_a_bad_request() -> None:
    wording = (
        r'requested &user.DefaultInfo{Name:"", UID:"", Groups:\[\]string{"admins"}, Extra:map\[string\]\[\]string\(nil\)} '
        "without impersonating a user name"
    )
    with pytest.raises(BadRequest, match=wording):
        acting(Rights(), "", ("Impersonate-Group", "admins"))
    with pytest.raises(BadRequest, match=r'Groups:\[\]string\(nil\), Extra:map\[string\]\[\]string{"a":\[\]string{"b"}}'):
        acting(Rights(), "", ("Impersonate-Extra-A", "b"))
    assert acting(Rights(), "") is None
