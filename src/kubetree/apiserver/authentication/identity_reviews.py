"""Who is this: the answers of TokenReview and SelfSubjectReview. Follows pkg/registry/authentication."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubetree.api.errors import BadRequest
from kubetree.apiserver.authentication.tokens import TokenAuthenticator, TokenRejected
from kubetree.apiserver.authentication.user import User

Object = dict[str, Any]


async def review_token(review: Object, tokens: TokenAuthenticator, own_audiences: Sequence[str]) -> Object:
    """A TokenReview with its status. Raises BadRequest without a token."""
    spec = review.get("spec") or {}
    if not spec.get("token"):
        raise BadRequest("token is required for TokenReview in authentication")
    audiences = tuple(spec.get("audiences") or own_audiences)
    try:
        verdict = await tokens.authenticate_token(spec["token"], audiences)
    except TokenRejected as error:
        why = str(error).removeprefix("[").removesuffix("]") if str(error).startswith("[") else str(error)
        return review | {"status": {"user": {}, "error": f"[invalid bearer token, {why}]"}}
    if verdict is None:
        return review | {"status": {"user": {}, "error": "invalid bearer token"}}
    status: Object = {"authenticated": True, "user": user_info(verdict.user)}
    if verdict.audiences:
        status["audiences"] = list(verdict.audiences)
    return review | {"status": status}


def review_self(review: Object, user: User, now: str) -> Object:
    """A SelfSubjectReview: `kubectl auth whoami`."""
    return {
        "kind": review["kind"],
        "apiVersion": review["apiVersion"],
        "metadata": {"creationTimestamp": now},
        "status": {"userInfo": user_info(user)},
    }


def user_info(user: User) -> Object:
    """authentication.k8s.io UserInfo."""
    fields = {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra.items()},
    }
    return {field: value for field, value in fields.items() if value}
