"""Impersonate-User and its companions: whom a request asks to be. `impersonation_modes` says whether it may.

Follows apiserver's endpoints/filters/impersonation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from kubetree.api.errors import BadRequest
from kubetree.apiserver.authentication.impersonation_modes import impersonated
from kubetree.apiserver.authentication.request_headers import all_values, collect_extra, in_utf8
from kubetree.apiserver.authentication.user import User
from kubetree.apiserver.authorization.attributes import Attributes, Authorizer

USER, GROUP, UID, EXTRA = "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-"


def impersonate(headers: Mapping[str, str], attributes: Attributes, authorizer: Authorizer) -> tuple[User, str] | None:
    """Whom the headers ask to be and the verb that allowed it ("" for the old `impersonate`), once the sender of the request `attributes` was found to be allowed that. None: they ask nothing.

    Raises BadRequest for groups, uid or extra without a user, Forbidden in upstream's wording.
    """
    extra: dict[str, tuple[str, ...]] = {}
    collect_extra(headers, EXTRA, extra)
    wanted = User(in_utf8(headers.get(USER, "")), in_utf8(headers.get(UID, "")), tuple(all_values(headers, GROUP)), extra)
    if wanted.name:
        return impersonated(wanted, attributes, authorizer)
    if wanted.groups or wanted.extra or wanted.uid:
        raise BadRequest(f"requested {_in_go(wanted)} without impersonating a user name")
    return None


def _in_go(user: User) -> str:
    """The user as Go's %#v prints a user.DefaultInfo: that is upstream's message."""
    extra = ", ".join(f"{json.dumps(key)}:{_slice(user.extra[key])}" for key in sorted(user.extra))
    groups = _slice(user.groups) if user.groups else "[]string(nil)"
    fields = f'Name:"", UID:{json.dumps(user.uid)}, Groups:{groups}, Extra:map[string][]string{f"{{{extra}}}" if extra else "(nil)"}'
    return f"&user.DefaultInfo{{{fields}}}"


def _slice(texts: Iterable[str]) -> str:
    return f"[]string{{{', '.join(json.dumps(text) for text in texts)}}}"
