"""From a request to the function that answers it: two tables, one of paths and one of verbs and subresources."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from kubetree.api import errors
from kubetree.api.kinds import ALL_VERBS, Kind
from kubetree.api.warnings import deprecation
from kubetree.apiserver.aggregation.aggregation import Aggregation
from kubetree.apiserver.context import Handler, RequestContext
from kubetree.apiserver.discovery.endpoints import Discovery, built_in, no_such_method, no_such_resource
from kubetree.apiserver.metrics.requests import Metrics
from kubetree.apiserver.registry import Registry
from kubetree.apiserver.subresources.scale import get_scale, patch_scale, update_scale
from kubetree.apiserver.verbs.call import Call, Verb
from kubetree.apiserver.verbs.create import create
from kubetree.apiserver.verbs.delete import delete
from kubetree.apiserver.verbs.delete_collection import delete_collection
from kubetree.apiserver.verbs.get import get
from kubetree.apiserver.verbs.list import list_
from kubetree.apiserver.verbs.patch import patch
from kubetree.apiserver.verbs.update import update
from kubetree.apiserver.verbs.watch import watch
from kubetree.apiserver.wire.responses import not_found_page

VERBS: dict[str, Verb] = {
    "create": create,
    "delete": delete,
    "deletecollection": delete_collection,
    "get": get,
    "list": list_,
    "patch": patch,
    "update": update,
    "watch": watch,
}

SAME_OBJECT: dict[str, Verb] = {"get": get, "patch": patch, "update": update}
"""Subresources that are a view of the object itself: status, finalize, approval, resize, ephemeralcontainers."""

_ANY_METHOD = ("/healthz", "/livez", "/readyz", "/metrics", "/debug/")
"""Pages that upstream serves whatever the method."""
CUSTOM_SCALE: dict[str, Verb] = {"get": get_scale, "patch": patch_scale, "update": update_scale}

_ON_NAME = ("get", "update", "patch", "delete")

_WRITES = frozenset({"create", "update", "patch", "delete"})

Action = tuple[str, str, str]
"""(group resource, subresource, verb)."""


class Dispatcher:
    """`pages` maps exact paths and, with a trailing slash, prefixes to handlers. `actions` are verbs of particular resources:
    reviews, bindings, tokens, connections."""

    def __init__(self, registry: Registry, discovery: Discovery, aggregation: Aggregation, metrics: Metrics) -> None:
        self._registry, self._discovery, self._metrics = registry, discovery, metrics
        self._remotes, self._proxy = aggregation.remotes, aggregation.proxy
        self.pages: dict[str, Handler] = {}
        self.actions: dict[Action, Verb] = {}
        self.catch_up: Callable[[], Awaitable[None]] | None = None
        """Makes sure that the table of kinds is as fresh as every acknowledged write."""

    def add_action(self, group_resource: str, subresource: str, verbs: tuple[str, ...], action: Verb) -> None:
        for verb in verbs:
            self.actions[group_resource, subresource, verb] = action

    async def __call__(self, ctx: RequestContext) -> web.StreamResponse:
        info = ctx.info
        if self._remotes and (remote := self._remotes.serving(ctx.path)) is not None:
            return await self._proxy.forward(ctx, remote)
        if not info.is_resource or ctx.path.startswith("//"):
            return await self._page(ctx)
        kind = self._registry.kinds.by_resource(info.group, info.version, info.resource) or await self._lately(ctx)
        if kind is None:
            if info.prefix == "apis" and not built_in(self._registry.kinds, info.group):
                return not_found_page(ctx)
            raise no_such_resource()
        if kind.behaviour is not None and not _in_scope(ctx, kind):
            return not_found_page(ctx)
        verb = self._verb(ctx, kind)
        if "%" in info.name or info.name in _NO_NAMES:
            raise _bad_name(info.name)
        told = deprecation(kind)
        if told:
            ctx.warnings.append(told)
            self._metrics.deprecated(info, "")
            ctx.annotations["k8s.io/deprecated"] = "true"
        resource = self._registry.resource(kind)
        call = Call(ctx, self._registry, resource)
        if info.verb not in _WRITES:
            return await verb(call)
        turns = resource.cache.turns
        turns.writing += 1
        try:
            response = await verb(call)
        finally:
            turns.writing -= 1
        if turns.crowded:
            await turns.over()
        return response

    async def _lately(self, ctx: RequestContext) -> Kind | None:
        """The row of a custom resource that another API server has established since this one last looked."""
        info = ctx.info
        if self.catch_up is None or "." not in info.group:
            return None
        await self.catch_up()
        return self._registry.kinds.by_resource(info.group, info.version, info.resource)

    def _verb(self, ctx: RequestContext, kind: Kind) -> Verb:
        info = ctx.info
        if not _in_scope(ctx, kind) or (info.via_prefix and (info.rest or info.verb == "proxy")):
            raise no_such_resource()
        if ctx.method == "HEAD" and info.subresource != "proxy" and kind.behaviour is None:
            raise no_such_method()
        found = self.actions.get((kind.group_resource, info.subresource, info.verb))
        if found is not None and (info.verb != "create" or info.subresource or not info.name):
            return found
        if info.subresource:
            sub = kind.subresource(info.subresource)
            if (sub is None or info.rest) and kind.behaviour is not None:
                raise errors.not_found(kind.plural, kind.group, info.name)
            if sub is None or info.rest:
                raise no_such_resource()
            if info.verb not in sub.verbs or info.verb not in SAME_OBJECT:
                raise no_such_method() if kind.behaviour is None else errors.method_not_supported(info.verb, kind.plural, kind.group)
            if kind.behaviour is not None and sub.name == "scale":
                return CUSTOM_SCALE[info.verb]
            return SAME_OBJECT[info.verb]
        verbs = kind.verbs if kind.behaviour is None else ALL_VERBS  # a definition that ends shows fewer, and refuses creates
        if info.verb not in verbs or (info.verb in _ON_NAME and not info.name) or (info.verb == "create" and info.name):
            if info.name and not any(verb in verbs for verb in _ON_NAME):
                raise no_such_resource()
            raise no_such_method()
        return VERBS[info.verb]

    def paths(self) -> list[str]:
        """Every page, as the root page lists them."""
        hidden = ("/debug/", "/healthz/", "/livez/", "/readyz/")
        return [path for path in self.pages if not path.startswith(hidden)]

    async def _page(self, ctx: RequestContext) -> web.StreamResponse:
        path = ctx.path
        if path.startswith("//"):
            return not_found_page(ctx)
        page = self.pages.get(path) or self.pages.get(path.rstrip("/")) or self._below(path)
        if page is None:
            if path != "/" and not path.startswith(("/api/", "/apis/")) and path not in ("/api", "/apis"):
                return not_found_page(ctx)
            page = self._discovery.handle
        response = await page(ctx)
        if ctx.method != "GET" and _routed(path) and response.status != 404:
            raise no_such_method()
        return response

    def _below(self, path: str) -> Handler | None:
        return next((page for prefix, page in self.pages.items() if prefix.endswith("/") and path.startswith(prefix)), None)


_NO_NAMES = (".", "..")


def _bad_name(name: str) -> errors.BadRequest:
    """A name that cannot be part of a key in the store."""
    why = f"may not be '{name}'" if name in _NO_NAMES else "may not contain '%'"
    return errors.BadRequest(f'Name parameter invalid: "{name}": {why}')


def _routed(path: str) -> bool:
    """Whether upstream's router stands before a page and lets only GET through: the version and all of discovery but the group documents."""
    parts = path.strip("/").split("/")
    return parts[0] in ("version", "api") or (parts[0] == "apis" and len(parts) > 2)


def _in_scope(ctx: RequestContext, kind: Kind) -> bool:
    """Whether the URL's form fits the kind: a namespaced object has a namespace in its path, a cluster-scoped one has none."""
    info = ctx.info
    if kind.namespaced and not info.namespace:
        if info.verb in ("list", "watch") and "list" in kind.verbs:
            return True
        if not info.name and info.verb in ("create", "deletecollection") and "list" in kind.verbs and kind.behaviour is None:
            raise no_such_method()
        return False
    if kind.namespaced:
        return True
    return not info.namespace or (kind.plural == "namespaces" and not kind.group)
