"""API servers in the mode of the test (see storage_modes) and what HTTP clients do with them."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import aiohttp
from aiohttp import web

import storage_modes
from kubetree.api.kinds import Kind
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.server import ApiServer
from kubetree.apiserver.wire.responses import answer_text
from kubetree.store import Store
from storage_modes import Given, Place, new_place

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
    """`await http.get("/api/v1/...")` and so on; bodies that are dicts or lists are sent as JSON.

    Where there are several servers, requests and watches go to them in turn. `server` is the first of them.
    """

    def __init__(self, session: aiohttp.ClientSession, *servers: ApiServer) -> None:
        self.session, self.servers, self.server = session, servers, servers[0]
        self._turns = cycle(servers)

    @property
    def url(self) -> str:
        """Of the server whose turn it is."""
        return next(self._turns).url

    def of(self, server: ApiServer) -> Http:
        """The same for one of the servers."""
        return Http(self.session, server)

    async def everywhere(self, path: str, holds: Callable[[Reply], Any], **headers: str) -> None:
        """Returns once `holds` has been true of what each server answers to a GET: what is written at one takes effect at the others
        within moments. A single server gets a few moments as well."""
        async with asyncio.timeout(30):
            for server in self.servers:
                while not holds(await self.of(server).get(path, **headers)):
                    await asyncio.sleep(0.005)

    async def known(self, kind: Kind, name: str, known: bool = True) -> None:
        """Returns once each server goes by an object without namespace, or no longer does."""
        for server in self.servers:
            while (server.parts.lister.get(kind, "", name) is not None) != known:
                await asyncio.sleep(0.001)

    async def caught_up(self) -> None:
        """Returns once no server lags behind what has been written: its caches have it, and what follows them has had its turn."""
        await caught_up(self.servers)

    async def request(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        sent = {k.replace("_", "-"): v for k, v in headers.items()}
        if body is not None and not isinstance(body, bytes | str):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        async with self.session.request(method, self.url + path, data=body, headers=sent) as response:
            return Reply(response.status, response.headers, await response.text(errors="replace"))

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
        async with self.session.get(self.url + path, headers=headers) as response:

            async def events() -> AsyncIterator[Object]:
                async for line in response.content:
                    yield json.loads(line)

            yield events()


async def caught_up(servers: Sequence[ApiServer]) -> None:
    for server in servers:
        now = await server.parts.registry.store.revision()
        for cache in server.parts.lister._caches:
            await cache.fresh(now)
    await asyncio.sleep(0)


@asynccontextmanager
async def running_server(place: Place | Store | None = None, *, servers: int | None = None, **config: Any) -> AsyncIterator[Http]:
    """As many servers as the mode has, or `servers` of them, over a new place or the one given."""
    usual = {"always_allow": True, "disable_admission_plugins": ("ServiceAccount",), "shutdown_grace": 0.1}
    with ExitStack() as stack:
        if not isinstance(place, Place):
            place = Given(place) if place is not None else stack.enter_context(new_place())
        async with started(place, Config(**{**usual, **place.settings, **config}), servers) as running:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
                yield Http(session, *running)


@asynccontextmanager
async def started(place: Place, config: Config, servers: int | None = None) -> AsyncIterator[list[ApiServer]]:
    """They start all at once, and so write what must be there from the beginning in competition."""
    async with place.for_servers() as store:
        made = [ApiServer(config, store=store) for _ in range(servers or storage_modes.mode.servers)]
        try:
            outcomes = await asyncio.gather(*(server.start() for server in made), return_exceptions=True)
            if failed := next((outcome for outcome in outcomes if outcome is not None), None):
                raise failed
            yield made
        finally:
            await asyncio.gather(*(server.stop() for server in made))


def slow_page(server: ApiServer) -> tuple[asyncio.Event, asyncio.Event]:
    """/slow answers once the second event is set; the first says that it was asked."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(ctx: RequestContext) -> web.StreamResponse:
        begun.set()
        await go_on.wait()
        return answer_text(ctx, "done")

    server.parts.dispatcher.pages["/slow"] = slow
    return begun, go_on


def config_map(name: str, namespace: str = "default", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


MAPS = "/api/v1/namespaces/default/configmaps"
