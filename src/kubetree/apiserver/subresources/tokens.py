"""serviceaccounts/NAME/token: decodes and admits a TokenRequest; the authentication package mints."""

from __future__ import annotations

from aiohttp import web

from kubetree.api import errors
from kubetree.api.apply import track_update
from kubetree.api.kinds import Kind
from kubetree.api.times import format_time
from kubetree.apiserver.admission.request import CREATE
from kubetree.apiserver.authentication.token_requests import DEFAULT_EXPIRY, TokenRequests
from kubetree.apiserver.verbs.call import Call, Verb
from kubetree.apiserver.wire.bodies import decode_as
from kubetree.apiserver.wire.negotiation import not_acceptable
from kubetree.apiserver.wire.options import write_options
from kubetree.apiserver.wire.responses import answer_object

_KIND = Kind("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests")
_DEFINITION, _API_VERSION = "io.k8s.api.authentication.v1.TokenRequest", "authentication.k8s.io/v1"


def token_requests(minter: TokenRequests | None) -> Verb:
    """`minter` None: this server has no signing key and issues no tokens."""

    async def create_token(call: Call) -> web.StreamResponse:
        ctx, output = call.ctx, call.output()
        if output.as_kind == "Table":
            raise not_acceptable()
        options = write_options(ctx.query, ctx.user_agent, "CreateOptions")
        body = await call.body()
        if minter is None:
            raise errors.NotFound("the server could not find the requested resource")
        request = decode_as(ctx, body, _DEFINITION, _API_VERSION, "TokenRequest", options.validation)
        request.setdefault("metadata", {})
        request.setdefault("spec", {}).setdefault("expirationSeconds", DEFAULT_EXPIRY)
        scope = call.scope(options, "CreateOptions")
        admission = scope.admission(CREATE, call.resource.kind, call.name, request, None)
        await call.registry.admission.admit(admission)
        await call.registry.admission.validate(admission)
        now = format_time(call.registry.clock())
        track_update(_KIND, None, request, manager=options.manager, now=now, subresource="token")
        minted = await minter.mint(call.namespace, call.name, request)
        ctx.warnings.extend(minted.warnings)
        ctx.annotations.update(minted.annotations)
        return answer_object(ctx, minted.request, output, 201)

    return create_token
