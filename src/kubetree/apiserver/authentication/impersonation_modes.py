"""The ways to be allowed to act as someone else: the narrow ones of KEP-5284 first, then the old verb `impersonate`.

A narrow mode asks two things: may the requestor do this very request in that mode (`impersonate-on:<mode>:<verb>`), and may it be
that user (`impersonate:<mode>`). When no mode allows it, the first refusal is told. Upstream also remembers which mode last held for
a requestor, to spare calls to webhooks; here asking again is cheaper than remembering.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from kubetree.api.errors import Forbidden
from kubetree.api.validation.errors import Errors, quote
from kubetree.api.validation.jobs import domain_path
from kubetree.api.validation.names import dns_subdomain
from kubetree.apiserver.authentication.user import (
    ANONYMOUS,
    AUTHENTICATED_GROUP,
    MASTERS_GROUP,
    NODE_NAME,
    NODE_PREFIX,
    NODES_GROUP,
    UNAUTHENTICATED_GROUP,
    User,
    service_account_groups,
    split_service_account,
)
from kubetree.apiserver.authorization.attributes import Attributes, Authorizer, Decision
from kubetree.apiserver.authorization.forbidden import forbidden_by

MANY = 4
"""From so many groups or extra values on, the right to all of them is asked for first."""

_GROUP, _OWN_NODE = "authentication.k8s.io", "associated-node"
ASSOCIATED_NODE_KEYS = "authentication.kubernetes.io/associated-node-keys"


def impersonated(wanted: User, attributes: Attributes, authorizer: Authorizer) -> tuple[User, str]:
    """`wanted` with the groups that belong to it, and the narrow verb that allowed it, "" for the old one. Raises Forbidden."""
    first: Forbidden | None = None
    for mode, applies, act in _MODES:
        if applies(wanted, attributes.user):
            try:
                return act(mode, wanted, attributes, authorizer), "" if act is _legacy else f"impersonate:{mode}"
            except Forbidden as refusal:
                first = first or refusal
    raise first or Forbidden("all impersonation modes failed")


def _only_named(user: User) -> bool:
    return not (user.uid or user.groups or user.extra)


def _node_of(user_name: str) -> str:
    """The node whose user this is, "" for other users."""
    name = user_name.removeprefix(NODE_PREFIX)
    return name if name != user_name and not dns_subdomain(name) else ""


def _is_own_node(wanted: User, requestor: User) -> bool:
    node = _node_of(wanted.name)
    if not node or not _only_named(wanted) or split_service_account(requestor.name) is None:
        return False
    return requestor.extra.get(NODE_NAME) == (node,)


def _is_node(wanted: User, _: User) -> bool:
    return _only_named(wanted) and bool(_node_of(wanted.name))


def _is_service_account(wanted: User, _: User) -> bool:
    return _only_named(wanted) and split_service_account(wanted.name) is not None


def _is_other(wanted: User, _: User) -> bool:
    return not _node_of(wanted.name) and split_service_account(wanted.name) is None


def _always(_: User, __: User) -> bool:
    return True


def _narrow(mode: str, wanted: User, attributes: Attributes, authorizer: Authorizer) -> User:
    _ask(authorizer, replace(attributes, verb=f"impersonate-on:{mode}:{attributes.verb}"))
    asked = partial(Attributes, attributes.user, f"impersonate:{mode}", group=_GROUP, version="v1")
    if node := _node_of(wanted.name):
        _ask(authorizer, asked(resource="nodes", name="*" if mode == _OWN_NODE else node))
        return _complete(replace(wanted, groups=(NODES_GROUP,)))
    _ask(authorizer, _named(asked, wanted.name))
    if wanted.uid:
        _ask(authorizer, asked(resource="uids", name=wanted.uid))
    _ask_groups(asked, wanted, authorizer)
    _ask_extra(asked, wanted, authorizer)
    return _complete(wanted)


def _own_node(mode: str, wanted: User, attributes: Attributes, authorizer: Authorizer) -> User:
    """What is asked names neither the node nor the pod: one right serves the pods of a service account on every node."""
    requestor = replace(attributes.user, extra={ASSOCIATED_NODE_KEYS: tuple(sorted(attributes.user.extra))})
    return _narrow(mode, wanted, replace(attributes, user=requestor), authorizer)


def _named(asked: Callable[..., Attributes], name: str) -> Attributes:
    account = split_service_account(name)
    if account is None:
        return asked(resource="users", name=name)
    return asked(resource="serviceaccounts", namespace=account[0], name=account[1])


def _ask_groups(asked: Callable[..., Attributes], wanted: User, authorizer: Authorizer) -> None:
    groups = asked(resource="groups")
    if "" in wanted.groups:
        raise forbidden_by(groups, "impersonating the empty string group is not allowed")
    if MASTERS_GROUP in wanted.groups:
        raise forbidden_by(replace(groups, name=MASTERS_GROUP), "impersonating the system:masters group is not allowed")
    if len(wanted.groups) >= MANY and _allowed(authorizer, replace(groups, name="*")):
        return
    for group in wanted.groups:
        _ask(authorizer, replace(groups, name=group))


def _ask_extra(asked: Callable[..., Attributes], wanted: User, authorizer: Authorizer) -> None:
    extras = asked(resource="userextras")
    for key, values in wanted.extra.items():
        if problem := _unfit(key, values):
            raise forbidden_by(extras, problem)
    many = sum(map(len, wanted.extra.values())) >= MANY
    if many and _allowed(authorizer, replace(extras, subresource="*", name="*")):
        return
    for question in _each_extra(extras, wanted):
        _ask(authorizer, question)


def _unfit(key: str, values: tuple[str, ...]) -> str:
    if not key:
        return "impersonating the empty string key in extra is not allowed"
    errors: Errors = []
    domain_path(errors, key, "extra.key")
    if errors:
        text = str(errors[0]) if len(errors) == 1 else f"[{', '.join(map(str, errors))}]"
        return f"impersonating an invalid key in extra is not allowed: {text}"
    if key != key.lower():
        return f"impersonating a non-lowercase key in extra is not allowed: {quote(key)}"
    return "impersonating the empty string value in extra is not allowed" if "" in values else ""


def _each_extra(extras: Attributes, wanted: User) -> Iterator[Attributes]:
    for key, values in wanted.extra.items():
        for value in values:
            yield replace(extras, subresource=key, name=value)


def _legacy(verb: str, wanted: User, attributes: Attributes, authorizer: Authorizer) -> User:
    asked = partial(Attributes, attributes.user, verb, version="v1")
    _ask(authorizer, _named(asked, wanted.name))
    if wanted.uid:
        _ask(authorizer, asked(group=_GROUP, resource="uids", name=wanted.uid))
    for group in wanted.groups:
        _ask(authorizer, asked(resource="groups", name=group))
    for question in _each_extra(asked(group=_GROUP, resource="userextras"), wanted):
        _ask(authorizer, question)
    return _complete(wanted)


def _complete(user: User) -> User:
    """With the groups that everyone of its sort is in."""
    account = split_service_account(user.name)
    groups = user.groups or (service_account_groups(account[0]) if account else ())
    everyone = UNAUTHENTICATED_GROUP if user.name == ANONYMOUS else AUTHENTICATED_GROUP
    if everyone in groups or UNAUTHENTICATED_GROUP in groups:
        return replace(user, groups=groups)
    return replace(user, groups=(*groups, everyone))


def _allowed(authorizer: Authorizer, question: Attributes) -> bool:
    return authorizer.authorize(question).decision is Decision.ALLOW


def _ask(authorizer: Authorizer, question: Attributes) -> None:
    answer = authorizer.authorize(question)
    if answer.decision is not Decision.ALLOW:
        raise forbidden_by(question, answer.reason)


_Applies = Callable[[User, User], bool]
_Act = Callable[[str, User, Attributes, Authorizer], User]

_MODES: tuple[tuple[str, _Applies, _Act], ...] = (
    (_OWN_NODE, _is_own_node, _own_node),
    ("arbitrary-node", _is_node, _narrow),
    ("serviceaccount", _is_service_account, _narrow),
    ("user-info", _is_other, _narrow),
    ("impersonate", _always, _legacy),
)
