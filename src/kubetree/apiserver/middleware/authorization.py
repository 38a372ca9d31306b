"""May they: the authorizer is asked once a request; only an explicit yes lets it through."""

from __future__ import annotations

from functools import partial
from time import perf_counter

from aiohttp import web

from kubetree.apiserver.authorization.attributes import Answer, AskElsewhere, Attributes, Authorizer, Decision, settled
from kubetree.apiserver.authorization.forbidden import SANITIZED, forbidden_by
from kubetree.apiserver.context import Handler, Middleware, RequestContext
from kubetree.apiserver.metrics.access import AccessMetrics
from kubetree.apiserver.wire.responses import answer_text

DECISION, REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"
"""Audit annotations."""


_RESULTS = {Decision.ALLOW: "allowed", Decision.DENY: "denied", Decision.NO_OPINION: "no-opinion"}


def authorize(authorizer: Authorizer, metrics: AccessMetrics) -> Middleware:
    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            attributes, started = attributes_of(ctx), perf_counter()
            try:
                answer = authorizer.authorize(attributes)
            except AskElsewhere:
                answer = await settled(partial(authorizer.authorize, attributes))
            failed = answer.error if answer.decision is not Decision.ALLOW else ""
            metrics.authorization.add(_RESULTS[answer.decision] if not failed else "error", perf_counter() - started)
            if ctx.audit is not None:
                if not failed:
                    ctx.annotations[DECISION] = "allow" if answer.decision is Decision.ALLOW else "forbid"
                ctx.annotations[REASON] = answer.reason if not failed else "internal error"
            if answer.decision is Decision.ALLOW:
                return await inner(ctx)
            ctx.routed = False
            if failed:
                return answer_text(ctx, f'Internal Server Error: "{ctx.http.raw_path}": {failed}\n'.translate(SANITIZED), 500)
            raise forbidden_by(attributes, answer.reason)

        return handle

    return wrap


def attributes_of(ctx: RequestContext) -> Attributes:
    info = ctx.info
    if not info.is_resource:
        return Attributes(ctx.user, info.verb, info.path)
    return Attributes(
        ctx.user,
        info.verb,
        info.path,
        info.group,
        info.version,
        info.resource,
        info.subresource,
        info.namespace,
        info.name,
        info.field_selector,
        info.label_selector,
    )


class DenyEverything:
    """Stands in a registry until its authorizer, which needs the registry's lister, has been built."""

    def authorize(self, attributes: Attributes) -> Answer:
        return Answer(Decision.DENY)
