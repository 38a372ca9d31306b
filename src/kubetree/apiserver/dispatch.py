"""From a request to the function that answers it: two tables, one of paths and one of verbs and subresources."""

from __future__ import annotations

from aiohttp import web

from kubetree.api.kinds import Kind
from kubetree.api.warnings import deprecation
from kubetree.apiserver.aggregation.aggregation import Aggregation
from kubetree.apiserver.context import Handler, RequestContext
from kubetree.apiserver.discovery.endpoints import Discovery, known_group_version, no_such_method, no_such_resource
from kubetree.apiserver.metrics import Metrics
from kubetree.apiserver.registry import Registry
from kubetree.apiserver.responses import not_found_page
from kubetree.apiserver.verbs.call import Call, Verb
from kubetree.apiserver.verbs.create import create
from kubetree.apiserver.verbs.delete import delete
from kubetree.apiserver.verbs.delete_collection import delete_collection
from kubetree.apiserver.verbs.get import get
from kubetree.apiserver.verbs.list import list_
from kubetree.apiserver.verbs.patch import patch
from kubetree.apiserver.verbs.update import update
from kubetree.apiserver.verbs.watch import watch

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

_ON_NAME = ("get", "update", "patch", "delete")

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

    def add_action(self, group_resource: str, subresource: str, verbs: tuple[str, ...], action: Verb) -> None:
        for verb in verbs:
            self.actions[group_resource, subresource, verb] = action

    async def __call__(self, ctx: RequestContext) -> web.StreamResponse:
        info = ctx.info
        if self._remotes and (remote := self._remotes.serving(ctx.path)) is not None:
            return await self._proxy.forward(ctx, remote)
        if not info.is_resource:
            return await self._page(ctx)
        kind = self._registry.kinds.by_resource(info.group, info.version, info.resource)
        if kind is None:
            if not known_group_version(self._registry.kinds, info.group, info.version):
                return not_found_page(ctx)
            raise no_such_resource()
        verb = self._verb(ctx, kind)
        told = deprecation(kind)
        if told:
            ctx.warnings.append(told)
            self._metrics.deprecated(info, "")
            ctx.annotations["k8s.io/deprecated"] = "true"
        return await verb(Call(ctx, self._registry, self._registry.resource(kind)))

    def _verb(self, ctx: RequestContext, kind: Kind) -> Verb:
        info = ctx.info
        if not _in_scope(ctx, kind):
            raise no_such_resource()
        found = self.actions.get((kind.group_resource, info.subresource, info.verb))
        if found is not None:
            return found
        if info.subresource:
            sub = kind.subresource(info.subresource)
            if sub is None or info.rest:
                raise no_such_resource()
            if info.verb not in sub.verbs or info.verb not in SAME_OBJECT:
                raise no_such_method()
            return SAME_OBJECT[info.verb]
        if info.verb not in kind.verbs or (info.verb in _ON_NAME and not info.name) or (info.verb == "create" and info.name):
            raise no_such_method()
        return VERBS[info.verb]

    def paths(self) -> list[str]:
        """Every page, as the root page lists them."""
        hidden = ("/debug/", "/healthz/", "/livez/", "/readyz/")
        return [path for path in self.pages if not path.startswith(hidden)]

    async def _page(self, ctx: RequestContext) -> web.StreamResponse:
        path = ctx.path
        page = self.pages.get(path) or self.pages.get(path.rstrip("/")) or self._below(path)
        if page is None:
            if path != "/" and not path.startswith(("/api/", "/apis/")) and path not in ("/api", "/apis"):
                return not_found_page(ctx)
            page = self._discovery.handle
        if ctx.method not in ("GET", "HEAD") and not ctx.path.startswith(_ANY_METHOD):
            raise no_such_method()
        return await page(ctx)

    def _below(self, path: str) -> Handler | None:
        return next((page for prefix, page in self.pages.items() if prefix.endswith("/") and path.startswith(prefix)), None)


def _in_scope(ctx: RequestContext, kind: Kind) -> bool:
    """Whether the URL's form fits the kind: a namespaced object has a namespace in its path, a cluster-scoped one has none."""
    info = ctx.info
    if kind.namespaced:
        return bool(info.namespace) or not info.name or info.verb in ("list", "watch")
    return not info.namespace or (kind.plural == "namespaces" and not kind.group)
