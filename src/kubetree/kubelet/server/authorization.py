"""Who may use the kubelet's port: client certificates, bearer tokens, and the API server's word on what they may do.

Attributes follow pkg/kubelet/server/auth.go: requests are verbs on the subresources of this node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from kubetree.client.delegated import ANONYMOUS, Caller, Delegated

VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
MASTERS = "system:masters"

_SUBRESOURCES: Sequence[tuple[str, tuple[str, ...]]] = (
    ("/stats", ("stats",)),
    ("/metrics", ("metrics",)),
    ("/logs", ("log",)),
    ("/checkpoint", ("checkpoint",)),
    ("/statusz", ("statusz",)),
    ("/flagz", ("flagz",)),
    ("/pods", ("pods", "proxy")),
    ("/runningpods", ("pods", "proxy")),
    ("/healthz", ("healthz", "proxy")),
    ("/configz", ("configz", "proxy")),
)


def subresources(path: str) -> tuple[str, ...]:
    """Subresources of `nodes` of which one must be allowed for a path."""
    for prefix, names in _SUBRESOURCES:
        if path == prefix or path.startswith(prefix + "/"):
            return names
    return ("proxy",)


def certificate_caller(certificate: dict[str, Any] | None) -> Caller | None:
    """The user of a verified client certificate: its common name, with its organizations as groups."""
    if not certificate:
        return None
    pairs = [pair for part in certificate.get("subject", ()) for pair in part]
    name = next((value for key, value in pairs if key == "commonName"), "")
    groups = tuple(value for key, value in pairs if key == "organizationName")
    return Caller(name, groups=(*groups, "system:authenticated")) if name else None


class Gate:
    """`delegated` is None without an API server: then only system:masters get in."""

    def __init__(self, node_name: str, delegated: Delegated | None, *, anonymous: bool, always_allow: bool) -> None:
        self._node_name, self._delegated = node_name, delegated
        self._anonymous, self._always_allow = anonymous, always_allow

    async def refusal(self, request: web.BaseRequest, path: str) -> web.Response | None:
        """None to let the request in, else the answer: 401 without an identity, 403 without permission.

        `path` is the one that will be served: the request's own is decoded and normalized in other ways.
        """
        caller = await self._caller(request)
        if caller is None:
            return web.Response(status=401, text="Unauthorized")
        if self._always_allow or MASTERS in caller.groups:
            return None
        verb = VERBS.get(request.method, "")
        names = subresources(path)
        for name in names:
            wanted = {"group": "", "version": "v1", "resource": "nodes", "subresource": name, "name": self._node_name}
            if self._delegated is not None and await self._delegated.allowed(caller, verb=verb, resource=wanted):
                return None
        text = f"Forbidden (user={caller.name}, verb={verb}, resource=nodes, subresource(s)=[{' '.join(names)}])\n"
        return web.Response(status=403, text=text)

    async def _caller(self, request: web.BaseRequest) -> Caller | None:
        transport = request.transport
        tls = transport.get_extra_info("ssl_object") if transport is not None else None
        if tls is not None and (caller := certificate_caller(tls.getpeercert())) is not None:
            return caller
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return await self._delegated.caller(token) if self._delegated is not None else None
        return ANONYMOUS if self._anonymous else None
