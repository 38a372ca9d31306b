"""Who answers which review."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from kubetree.api.times import format_time
from kubetree.apiserver.authentication.build import Authentication
from kubetree.apiserver.authentication.identity_reviews import review_self, review_token
from kubetree.apiserver.authorization.access_reviews import review_access, review_rules
from kubetree.apiserver.authorization.attributes import settled
from kubetree.apiserver.authorization.build import Authorization
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.subresources.reviews import Reply

Object = dict[str, Any]


def review_replies(authentication: Authentication, authorization: Authorization, clock: Callable[[], datetime]) -> dict[str, Reply]:
    """Group resource to answer. `clock` gives the time, UTC."""

    async def token(ctx: RequestContext, review: Object) -> Object:
        return await review_token(review, authentication.requests.tokens, authentication.audiences)

    async def oneself(ctx: RequestContext, review: Object) -> Object:
        return review_self(review, ctx.user, format_time(clock()))

    async def rules(ctx: RequestContext, review: Object) -> Object:
        return review_rules(review, ctx.user, authorization.sources)

    async def access(ctx: RequestContext, review: Object) -> Object:
        return await settled(partial(review_access, review, ctx.user, ctx.info.namespace, authorization.authorizer))

    replies: dict[str, Reply] = {
        "tokenreviews.authentication.k8s.io": token,
        "selfsubjectreviews.authentication.k8s.io": oneself,
        "selfsubjectrulesreviews.authorization.k8s.io": rules,
    }
    for kind in ("subjectaccessreviews", "selfsubjectaccessreviews", "localsubjectaccessreviews"):
        replies[f"{kind}.authorization.k8s.io"] = access
    return replies
