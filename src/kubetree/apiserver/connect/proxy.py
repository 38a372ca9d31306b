"""The proxy subresources of nodes, pods and services: /api/v1/namespaces/NS/services/https:NAME:PORT/proxy/any/path."""

from __future__ import annotations

import ipaddress
import random
import ssl
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.apiserver.connect.admission import admit_connection
from kubetree.apiserver.connect.backend import Backends, forwarded_headers, pass_on, request_body
from kubetree.apiserver.connect.pods import find_kubelet
from kubetree.apiserver.connect.upgrade_tunnel import Target, is_upgrade, tunnel
from kubetree.apiserver.verbs.call import Call

Object = dict[str, Any]
_ENDPOINTS, _PODS = kind("v1", "Endpoints"), kind("v1", "Pod")


@dataclass(frozen=True, slots=True)
class Named:
    """`scheme:name:port` of a URL; scheme '' means http."""

    scheme: str
    name: str
    port: str


@dataclass(frozen=True, slots=True)
class Location:
    """Where a proxied request goes."""

    scheme: str
    host: str
    port: int
    tls: ssl.SSLContext


def split_name(text: str, what: str) -> Named:
    """Raises BadRequest."""
    match text.split(":"):
        case [name]:
            found = Named("", name, "")
        case [name, port]:
            found = Named("", name, port)
        case [scheme, name, port]:
            found = Named(scheme, name, port)
        case _:
            found = Named("", "", "")
    if not found.name or found.scheme not in ("", "http", "https"):
        raise errors.BadRequest(f'invalid {what} request "{text}"')
    return found


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxy subresources of nodes, pods and services."""

    backends: Backends

    async def node(self, call: Call) -> web.StreamResponse:
        await _admit(call)
        wanted = split_name(call.name, "node")
        kubelet = await find_kubelet(call, wanted.name)
        if not wanted.port or wanted.port == str(kubelet.port):
            location = Location("https", kubelet.host, kubelet.port, self.backends.kubelet_tls)
        else:
            location = Location(wanted.scheme or "http", kubelet.host, _number(wanted.port), self.backends.insecure_tls)
        return await self._forward(call, location)

    async def pod(self, call: Call) -> web.StreamResponse:
        await _admit(call)
        wanted = split_name(call.name, "pod")
        pod = await _fetch(call, _PODS, wanted.name)
        addresses = (pod.get("status") or {}).get("podIPs") or []
        ip = (addresses[0].get("ip") if addresses else "") or (pod.get("status") or {}).get("podIP") or ""
        if not _is_global(ip):
            raise errors.BadRequest("address not allowed")
        port = _number(wanted.port) if wanted.port else _first_port(pod)
        scheme = wanted.scheme or "http"
        return await self._forward(call, Location(scheme, ip, port or (443 if scheme == "https" else 80), self.backends.insecure_tls))

    async def service(self, call: Call) -> web.StreamResponse:
        await _admit(call)
        wanted = split_name(call.name, "service")
        port_name = wanted.port
        if wanted.port.isdigit():
            service = await _fetch(call, call.resource.kind, wanted.name)
            ports = (service.get("spec") or {}).get("ports") or ()
            declared = next((p for p in ports if p.get("port") == int(wanted.port)), None)
            if declared is None:
                raise errors.ServiceUnavailable(f'no service port {wanted.port} found for service "{wanted.name}"')
            port_name = declared.get("name") or ""
        endpoints = await _fetch(call, _ENDPOINTS, wanted.name)
        address = self._endpoint(call, endpoints, port_name)
        if address is None:
            shown = call.name if endpoints.get("subsets") else wanted.name
            raise errors.ServiceUnavailable(f'no endpoints available for service "{shown}"')
        return await self._forward(call, Location(wanted.scheme or "http", *address, self.backends.insecure_tls))

    def _endpoint(self, call: Call, endpoints: Object, port_name: str) -> tuple[str, int] | None:
        """One address behind the port, picked at random; only addresses that are pods count."""
        subsets = list(endpoints.get("subsets") or ())
        random.shuffle(subsets)
        for subset in subsets:
            ports: list[int] = [p["port"] for p in subset.get("ports") or () if (p.get("name") or "") == port_name]
            addresses = list(subset.get("addresses") or ())
            random.shuffle(addresses)
            for address in addresses if ports else ():
                if _is_pod(call, address):
                    return address["ip"], ports[0]
        return None

    async def _forward(self, call: Call, location: Location) -> web.StreamResponse:
        ctx = call.ctx
        below = _path_below(ctx.http.raw_path)
        if not below and ctx.method in ("GET", "HEAD") and not is_upgrade(ctx):
            path, _, query = ctx.http.raw_path.partition("?")
            where = f"{path}/" + (f"?{query}" if query else "")
            return web.Response(status=301, headers={"Location": where, "Audit-Id": ctx.audit_id})
        if is_upgrade(ctx):
            tls = location.tls if location.scheme == "https" else None
            return await tunnel(ctx, Target(location.host, location.port, below or "/", tls))
        host = f"[{location.host}]" if ":" in location.host else location.host
        url = f"{location.scheme}://{host}:{location.port}{below or '/'}"
        body = request_body(ctx) if ctx.http.body_exists else None
        response = await self.backends.open(ctx.method, url, location.tls, forwarded_headers(ctx), body)
        return await pass_on(ctx, response)


async def _admit(call: Call) -> None:
    sub = call.resource.kind.subresource("proxy")
    assert sub is not None
    options: Object = {"kind": sub.kind, "apiVersion": "v1"}
    below = _path_below(call.ctx.path)
    if below:
        options["path"] = below
    await admit_connection(call, options)


def _path_below(raw_path: str) -> str:
    """What follows `/proxy` in the URL, still encoded, with the query: '' for nothing."""
    path, _, query = raw_path.partition("?")
    parts = path.split("/")
    resource = 5 if len(parts) > 5 and parts[3] == "namespaces" else 3
    rest = parts[resource + 3 :]
    below = "/" + "/".join(rest) if rest else ""
    return below + (f"?{query}" if query and below else "")


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise errors.ServiceUnavailable(f"error trying to reach service: unknown port {text}") from None


def _first_port(pod: Object) -> int:
    for container in (pod.get("spec") or {}).get("containers") or ():
        for port in container.get("ports") or ():
            number: int = port["containerPort"]
            return number
    return 0


def _is_global(ip: str) -> bool:
    """Go's IsGlobalUnicast: everything but loopback, multicast, link-local and unspecified addresses."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_multicast or address.is_link_local or address.is_unspecified)


async def _fetch(call: Call, row: Any, name: str) -> Object:
    resource = call.registry.resource(call.registry.kinds.by_resource(row.group, row.version, row.plural) or row)
    await resource.cache.fresh()
    entry = resource.cache.get(resource.key(call.namespace, name))
    if entry is None:
        raise errors.not_found(call.resource.kind.plural, call.resource.kind.group, name)  # upstream names what the request is for
    return entry.obj


def _is_pod(call: Call, address: Object) -> bool:
    target = address.get("targetRef") or {}
    if target.get("kind") != "Pod":
        return False
    resource = call.registry.resource(_PODS)
    entry = resource.cache.get(resource.key(target.get("namespace", ""), target.get("name", "")))
    if entry is None:
        return False
    status = entry.obj.get("status") or {}
    ips = {p.get("ip") for p in status.get("podIPs") or ()} | {status.get("podIP")}
    return address.get("ip") in ips
