"""An API server over the memory engine for tests of what HTTP clients see."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from kubetree.apiserver.config import Config
from kubetree.apiserver.server import ApiServer
from kubetree.store.protocol import Store

Object = dict[str, Any]


@dataclass
class Reply:
    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Http:
    """`await http.get("/api/v1/...")` and so on; bodies that are dicts or lists are sent as JSON."""

    def __init__(self, session: aiohttp.ClientSession, server: ApiServer) -> None:
        self.session, self.server = session, server

    async def request(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        sent = {k.replace("_", "-"): v for k, v in headers.items()}
        if body is not None and not isinstance(body, bytes | str):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        async with self.session.request(method, self.server.url + path, data=body, headers=sent) as response:
            return Reply(response.status, response.headers, await response.text())

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection, over TLS when the server speaks it."""
        context = None
        if self.server.config.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return await asyncio.open_connection("127.0.0.1", self.server.port, ssl=context)

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.request("GET", path, **headers)

    async def post(self, path: str, body: Any, **headers: str) -> Reply:
        return await self.request("POST", path, body, **headers)

    async def put(self, path: str, body: Any, **headers: str) -> Reply:
        return await self.request("PUT", path, body, **headers)

    async def patch(self, path: str, body: Any, type: str = "merge-patch+json", **headers: str) -> Reply:
        return await self.request("PATCH", path, body, Content_Type=f"application/{type}", **headers)

    async def delete(self, path: str, body: Any = None, **headers: str) -> Reply:
        return await self.request("DELETE", path, body, **headers)

    @asynccontextmanager
    async def watch(self, path: str, **headers: str) -> AsyncIterator[AsyncIterator[Object]]:
        async with self.session.get(self.server.url + path, headers=headers) as response:

            async def events() -> AsyncIterator[Object]:
                async for line in response.content:
                    yield json.loads(line)

            yield events()


@asynccontextmanager
async def running_server(store: Store | None = None, **config: Any) -> AsyncIterator[Http]:
    server = ApiServer(
        Config(**{"always_allow": True, "disable_admission_plugins": ("ServiceAccount",), "shutdown_grace": 0.1, **config}), store=store
    )
    await server.start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
            yield Http(session, server)
    finally:
        await server.stop()


def config_map(name: str, namespace: str = "default", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


MAPS = "/api/v1/namespaces/default/configmaps"
