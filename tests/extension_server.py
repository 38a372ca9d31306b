"""A small aggregated API server: keeps Flunders of wardle.example.com, asks the cluster who may what, serves discovery, OpenAPI and watch.

It believes X-Remote-User only of a client with a front proxy certificate, as the ConfigMap extension-apiserver-authentication says, and
asks for SubjectAccessReviews, as upstream's sample-apiserver does by its generic library.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from kubetree.api.kind_table import kind
from kubetree.client import Client
from kubetree.client.delegated import Caller, Delegated
from kubetree.cluster.certificates import Authority

Object = dict[str, Any]
GROUP, VERSION = "wardle.example.com", "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERBS = ["create", "delete", "get", "list", "update", "watch"]
FLUNDER = "com.example.wardle.v1alpha1.Flunder"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."


@dataclass
class ExtensionServer:
    """`authority` signs its certificate: its PEM is the APIService's caBundle. Tests turn the switches."""

    client: Client
    authority: Authority
    directory: Path
    service: str = "wardle"
    aggregated: bool = True
    openapi_v3: bool = True
    healthy: bool = True
    redirect: str = ""
    port: int = 0
    flunders: dict[tuple[str, str], Object] = field(default_factory=dict)
    seen: list[web.BaseRequest] = field(default_factory=list)
    revision: int = 1
    _watchers: list[asyncio.Queue[Object]] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ExtensionServer]:
        data = (await self.client.get(kind("v1", "ConfigMap"), "extension-apiserver-authentication", "kube-system"))["data"]
        self.user_header = json.loads(data["requestheader-username-headers"])[0]
        self.group_header = json.loads(data["requestheader-group-headers"])[0]
        self.delegated = Delegated(self.client, time.monotonic)
        pair = self.authority.server("wardle", [f"{self.service}.default.svc"], datetime.now(UTC))
        file = self.directory / "wardle.pem"
        file.write_bytes(pair.certificate + pair.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        context.load_verify_locations(cadata=data["requestheader-client-ca-file"])
        context.verify_mode = ssl.CERT_REQUIRED
        server = web.Server(self._answer)
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", self.port, ssl=context)
        self.port = listening.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listening.close()
            await server.shutdown(0.1)

    def api_service(self, **spec: Any) -> Object:
        """The APIService that leads here by a Service of type ExternalName."""
        usual = {
            "group": GROUP,
            "version": VERSION,
            "service": {"namespace": "default", "name": self.service, "port": self.port},
            "groupPriorityMinimum": 2000,
            "versionPriority": 200,
            "caBundle": base64.b64encode(self.authority.certificate).decode(),
        }
        return {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{VERSION}.{GROUP}"},
            "spec": {**usual, **spec},
        }

    def service_object(self) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": self.service, "namespace": "default"},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }

    @property
    def watching(self) -> int:
        """Open watches."""
        return len(self._watchers)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request)
        user = Caller(request.headers.get(self.user_header, ""), "", tuple(request.headers.getall(self.group_header, [])))
        if not user.name:
            return web.json_response({}, status=401)
        if not self.healthy:
            return web.json_response({}, status=500)
        if self.redirect:
            return web.Response(status=302, headers={"Location": self.redirect})
        parts = request.path.strip("/").split("/")
        match parts:
            case ["apis"]:
                return self._groups(request)
            case ["apis", _, _]:
                return web.json_response(legacy())
            case ["openapi", "v2"]:
                document = web.json_response(openapi_v2(), headers={"Etag": '"two"'})
                document.enable_compression()
                return document
            case ["openapi", "v3"] if self.openapi_v3:
                return web.json_response(
                    {"paths": {f"apis/{API_VERSION}": {"serverRelativeURL": f"/openapi/v3/apis/{API_VERSION}?hash=33"}}}
                )
            case ["openapi", "v3", *_] if self.openapi_v3:
                return web.json_response(
                    {"openapi": "3.0.0", "info": {"title": "wardle"}, "paths": {}, "components": {"schemas": {FLUNDER: {}}}}
                )
            case ["apis", _, _, "namespaces", namespace, "flunders", *rest]:
                return await self._flunders(request, user, namespace, rest)
        return web.json_response({}, status=404)

    def _groups(self, request: web.BaseRequest) -> web.Response:
        if not self.aggregated or "apidiscovery" not in request.headers.get("Accept", ""):
            return web.json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
        if request.headers.get("If-None-Match") == '"one"':
            return web.Response(status=304)
        flunders = {
            "resource": "flunders",
            "responseKind": {"group": "", "version": "", "kind": "Flunder"},
            "scope": "Namespaced",
            "singularResource": "flunder",
            "verbs": VERBS,
            "subresources": [{"subresource": "chat", "verbs": ["get"]}],
        }
        versions = [{"version": VERSION, "resources": [flunders], "freshness": "Current"}]
        document = {"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": GROUP}, "versions": versions}]}
        return web.Response(body=json.dumps(document), headers={"Content-Type": AGGREGATED, "Etag": '"one"'})

    async def _flunders(self, request: web.BaseRequest, user: Caller, namespace: str, rest: list[str]) -> web.StreamResponse:
        verb = {"POST": "create", "PUT": "update", "DELETE": "delete"}.get(request.method, "get" if rest else "list")
        attributes = {"group": GROUP, "version": VERSION, "resource": "flunders", "namespace": namespace, "name": rest[0] if rest else ""}
        if not await self.delegated.allowed(user, verb=verb, resource=attributes):
            return _status(403, "Forbidden", f'flunders.wardle.example.com is forbidden: User "{user.name}" cannot {verb}')
        if len(rest) == 2:
            return await self._chat(request)
        if request.method == "POST":
            return self._write(namespace, await request.json(), "ADDED", 201)
        if not rest:
            if request.query.get("watch"):
                return await self._watch(request)
            items = [obj for (ns, _), obj in self.flunders.items() if ns == namespace]
            body = {"kind": "FlunderList", "apiVersion": API_VERSION, "metadata": {"resourceVersion": str(self.revision)}, "items": items}
            return web.json_response(body)
        found = self.flunders.get((namespace, rest[0]))
        if found is None:
            return _status(404, "NotFound", f'flunders.wardle.example.com "{rest[0]}" not found')
        if request.method == "PUT":
            return self._write(namespace, await request.json(), "MODIFIED", 200)
        if request.method == "DELETE":
            del self.flunders[namespace, rest[0]]
            self._tell("DELETED", found)
        return web.json_response(found)

    def _write(self, namespace: str, obj: Object, event: str, status: int) -> web.Response:
        self.revision += 1
        obj["metadata"] |= {"namespace": namespace, "resourceVersion": str(self.revision)}
        self.flunders[namespace, obj["metadata"]["name"]] = obj
        self._tell(event, obj)
        return web.json_response(obj, status=status)

    def _tell(self, event: str, obj: Object) -> None:
        for queue in self._watchers:
            queue.put_nowait({"type": event, "object": obj})

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        queue: asyncio.Queue[Object] = asyncio.Queue()
        self._watchers.append(queue)
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        try:
            while request.transport is not None and not request.transport.is_closing():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await answer.write(json.dumps(await queue.get()).encode() + b"\n")
        finally:
            self._watchers.remove(queue)
        return answer

    async def _chat(self, request: web.BaseRequest) -> web.StreamResponse:
        """Upgrades to a WebSocket that says back what it is told, and who told it."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"{request.headers[self.user_header]}: {message.data}")
        return socket


def _status(code: int, reason: str, message: str) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code}
    return web.json_response(body, status=code)


def legacy() -> Object:
    rows = [
        {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "verbs": VERBS},
        {"name": "flunders/chat", "singularName": "", "namespaced": True, "kind": "Flunder", "verbs": ["get"]},
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": API_VERSION, "resources": rows}


def openapi_v2() -> Object:
    """ObjectMeta differs from the cluster's: it must be renamed when the documents are joined. Half of the paths are none of its business."""
    base = f"/apis/{API_VERSION}"
    operation = {"operationId": "readFlunder", "responses": {"200": {"description": "OK", "schema": {"$ref": f"#/definitions/{FLUNDER}"}}}}
    flunder = {
        "type": "object",
        "description": "A Flunder, a flat fish.",
        "properties": {
            "metadata": {"$ref": f"#/definitions/{_META}ObjectMeta"},
            "size": {"type": "integer", "description": "In centimetres."},
        },
        "x-kubernetes-group-version-kind": [{"group": GROUP, "version": VERSION, "kind": "Flunder"}],
    }
    return {
        "swagger": "2.0",
        "info": {"title": "wardle", "version": "1"},
        "paths": {
            f"{base}/namespaces/{{namespace}}/flunders/{{name}}": {"get": operation},
            "/version/": {"get": {"operationId": "other", "responses": {}}},
        },
        "definitions": {
            FLUNDER: flunder,
            _META + "ObjectMeta": {"type": "object", "description": "Another ObjectMeta.", "properties": {"name": {"type": "string"}}},
            "com.example.unused": {"type": "object"},
        },
    }
