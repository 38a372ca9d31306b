"""Impersonate-User and its companions: acting as someone else, each part of it authorized as the verb `impersonate`.

Follows apiserver's endpoints/filters/impersonation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubetree.api.errors import BadRequest
from kubetree.apiserver.authentication.request_headers import all_values, collect_extra
from kubetree.apiserver.authentication.user import (
    ANONYMOUS,
    AUTHENTICATED_GROUP,
    UNAUTHENTICATED_GROUP,
    User,
    service_account_groups,
    split_service_account,
)
from kubetree.apiserver.authorization.attributes import Attributes, Authorizer, Decision
from kubetree.apiserver.authorization.forbidden import forbidden_by

USER, GROUP, UID, EXTRA = "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-"


def impersonate(headers: Mapping[str, str], requestor: User, authorizer: Authorizer) -> User | None:
    """Whom the headers ask to be, once `requestor` was found to be allowed each part of it. None: they ask nothing.

    Raises BadRequest for groups, uid or extra without a user, Forbidden in upstream's wording.
    """
    name, uid = headers.get(USER, ""), headers.get(UID, "")
    groups = tuple(all_values(headers, GROUP))
    extra: dict[str, tuple[str, ...]] = {}
    collect_extra(headers, EXTRA, extra)
    if not name:
        if groups or extra or uid:
            raise BadRequest("requested impersonation of groups, extra or uid without impersonating a user")
        return None
    for question in _questions(requestor, name, groups, uid, extra):
        answer = authorizer.authorize(question)
        if answer.decision is not Decision.ALLOW:
            raise forbidden_by(question, answer.reason)
    return User(name, uid, _groups(name, groups), extra)


def _questions(requestor: User, name: str, groups: tuple[str, ...], uid: str, extra: dict[str, tuple[str, ...]]) -> Iterator[Attributes]:
    account = split_service_account(name)
    if account is not None:
        yield Attributes(requestor, "impersonate", version="v1", resource="serviceaccounts", namespace=account[0], name=account[1])
    else:
        yield Attributes(requestor, "impersonate", resource="users", name=name)
    for group in groups:
        yield Attributes(requestor, "impersonate", resource="groups", name=group)
    authentication = {"group": "authentication.k8s.io", "version": "v1"}
    for key, values in extra.items():
        for value in values:
            yield Attributes(requestor, "impersonate", **authentication, resource="userextras", subresource=key, name=value)
    if uid:
        yield Attributes(requestor, "impersonate", **authentication, resource="uids", name=uid)


def _groups(name: str, given: tuple[str, ...]) -> tuple[str, ...]:
    account = split_service_account(name)
    groups = given or (service_account_groups(account[0]) if account else ())
    if name == ANONYMOUS:
        return groups if UNAUTHENTICATED_GROUP in groups else (*groups, UNAUTHENTICATED_GROUP)
    if AUTHENTICATED_GROUP in groups or UNAUTHENTICATED_GROUP in groups:
        return groups
    return (*groups, AUTHENTICATED_GROUP)
