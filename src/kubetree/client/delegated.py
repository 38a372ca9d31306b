"""Authentication and authorization that a component leaves to the API server: TokenReview and SubjectAccessReview, answers kept a while.

Follows upstream's delegating authenticator and authorizer: a client certificate of the cluster's authority needs no review.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client.rest import Client

TOKEN_REVIEW = kind("authentication.k8s.io/v1", "TokenReview")
SUBJECT_ACCESS_REVIEW = kind("authorization.k8s.io/v1", "SubjectAccessReview")

TOKEN_TTL, ALLOWED_TTL, DENIED_TTL = 120.0, 300.0, 30.0
"""Seconds that answers are good for, upstream's kubelet defaults."""
_MOST = 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the API server names them."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()


ANONYMOUS = Caller("system:anonymous", groups=("system:unauthenticated",))


class Delegated:
    """`monotonic` gives seconds. Nothing is let in that the API server could not be asked about."""

    def __init__(self, client: Client, monotonic: Callable[[], float]) -> None:
        self._client, self._monotonic = client, monotonic
        self._tokens: OrderedDict[bytes, tuple[float, Caller | None]] = OrderedDict()
        self._verdicts: OrderedDict[tuple[Any, ...], tuple[float, bool]] = OrderedDict()

    async def caller(self, token: str) -> Caller | None:
        """Whose token it is; None for one that the API server does not accept."""
        key = hashlib.sha256(token.encode()).digest()
        found = self._tokens.get(key)
        if found is not None and found[0] > self._monotonic():
            return found[1]
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        try:
            status = (await self._client.create(TOKEN_REVIEW, review)).get("status") or {}
        except errors.ApiError:
            return None
        user = status.get("user") or {}
        caller = Caller(user["username"], user.get("uid", ""), tuple(user.get("groups") or ())) if status.get("authenticated") else None
        _keep(self._tokens, key, (self._monotonic() + TOKEN_TTL, caller))
        return caller

    async def allowed(self, caller: Caller, *, path: str = "", verb: str = "get", resource: Mapping[str, str] | None = None) -> bool:
        """Whether the caller may: `path` for a non-resource request, or `resource` as ResourceAttributes."""
        key = (caller, path, verb, tuple(sorted((resource or {}).items())))
        found = self._verdicts.get(key)
        if found is not None and found[0] > self._monotonic():
            return found[1]
        spec: dict[str, Any] = {"user": caller.name, "groups": list(caller.groups), "uid": caller.uid}
        spec |= {"resourceAttributes": {"verb": verb, **resource}} if resource else {"nonResourceAttributes": {"path": path, "verb": verb}}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        try:
            allowed = bool(((await self._client.create(SUBJECT_ACCESS_REVIEW, review)).get("status") or {}).get("allowed"))
        except errors.ApiError:
            return False
        _keep(self._verdicts, key, (self._monotonic() + (ALLOWED_TTL if allowed else DENIED_TTL), allowed))
        return allowed


def _keep(cache: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > _MOST:
        cache.popitem(last=False)
