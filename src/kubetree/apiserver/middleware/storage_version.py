"""Writes wait for the server to have told in which versions it stores what they write. There only with the gate StorageVersionAPI.

The server's own parts write without passing here. Follows apiserver's WithStorageVersionPrecondition.
"""

from __future__ import annotations

from aiohttp import web

from kubetree.api import errors
from kubetree.apiserver.context import Handler, Middleware, RequestContext
from kubetree.apiserver.storage_versions.manager import STORAGE_VERSION, StorageVersions

_READS = ("get", "list", "watch")


def await_storage_versions(versions: StorageVersions) -> Middleware:
    def wrap(inner: Handler) -> Handler:
        async def handle(ctx: RequestContext) -> web.StreamResponse:
            if not versions.complete:
                _check(ctx, versions)
            return await inner(ctx)

        return handle

    return wrap


def _check(ctx: RequestContext, versions: StorageVersions) -> None:
    """Raises ServiceUnavailable. What shows that servers live, and who tells of storage versions, must get through."""
    info = ctx.info
    if not info.is_resource or info.verb in _READS:
        return
    if (info.group, info.resource) == (STORAGE_VERSION.group, STORAGE_VERSION.plural):
        return
    if (info.group, info.resource, info.namespace) == ("coordination.k8s.io", "leases", "kube-system"):
        return
    name = f"{info.resource}.{info.group}" if info.group else info.resource
    failure = versions.pending(name)
    if failure is not None:
        why = f"wait for storage version registration to complete for resource: {name}, last seen error: {failure}"
        raise errors.ServiceUnavailable(why)
