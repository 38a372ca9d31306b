"""Kinds that are answered and never stored: reviews. Decoded, defaulted and admitted like any create, then asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from kubetree.api.defaults import apply_defaults
from kubetree.apiserver.admission.request import CREATE
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.operations.creation import check_namespace
from kubetree.apiserver.operations.managers import track_create
from kubetree.apiserver.verbs.call import Call, Verb
from kubetree.apiserver.wire.bodies import decode_object
from kubetree.apiserver.wire.negotiation import not_acceptable
from kubetree.apiserver.wire.options import write_options

Object = dict[str, Any]
Reply = Callable[[RequestContext, Object], Awaitable[Object]]
"""From the review as sent to the review with its status. Raises Invalid for one that asks nothing sensible."""

_UNANSWERED: dict[str, Object] = {
    "LocalSubjectAccessReview": {"allowed": False},
    "SelfSubjectAccessReview": {"allowed": False},
    "SelfSubjectReview": {"userInfo": {}},
    "SelfSubjectRulesReview": {"incomplete": False, "nonResourceRules": None, "resourceRules": None},
    "SubjectAccessReview": {"allowed": False},
    "TokenReview": {"user": {}},
}
"""The status that admission sees of a review that nobody has answered yet."""


def review(reply: Reply) -> Verb:
    """A verb that answers a review and stores nothing."""

    async def create_review(call: Call) -> web.StreamResponse:
        ctx, kind, output = call.ctx, call.resource.kind, call.output()
        if output.as_kind == "Table":
            raise not_acceptable()
        options = write_options(ctx.query, ctx.user_agent, "CreateOptions")
        obj = decode_object(ctx, await call.body(), kind, options.validation)
        check_namespace(call.namespace, obj.setdefault("metadata", {}))
        apply_defaults(kind, obj)
        obj.setdefault("status", _UNANSWERED.get(kind.kind, {}))
        scope = call.scope(options, "CreateOptions")
        obj = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], **obj}
        obj = track_create(call.resource, obj, scope, call.registry.clock())
        request = scope.admission(CREATE, kind, obj["metadata"].get("name", ""), obj, None)
        await call.registry.admission.admit(request)
        await call.registry.admission.validate(request)
        return call.object(await reply(ctx, obj), output, 201)

    return create_review
