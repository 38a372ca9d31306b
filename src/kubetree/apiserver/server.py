"""An API server as an object: built from a Config, started and stopped inside a running loop, many in one process if need be."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import orjson
from aiohttp import web

from kubetree.api import errors
from kubetree.api.kinds import Kinds
from kubetree.apiserver.context import Handler, RequestContext
from kubetree.apiserver.http.connection import HEAD_TIMEOUT, IDLE_TIMEOUT, HttpServer
from kubetree.apiserver.identifiers import new_uuid
from kubetree.apiserver.metrics.requests import Metrics
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.options.runtime_config import served_kinds
from kubetree.apiserver.parts import Parts
from kubetree.apiserver.serving_certificates import ServingCertificates
from kubetree.apiserver.streams import Finished
from kubetree.apiserver.wire import request_info
from kubetree.apiserver.wire.answers import Answer
from kubetree.apiserver.wire.responses import answer_text
from kubetree.apiserver.wiring import build
from kubetree.store import open_store
from kubetree.store.protocol import Store

log = logging.getLogger(__name__)
Clock = Callable[[], datetime]
_CLIENT_GONE = 499
_LAST_GRACE = 2.0
"""Seconds that connections have to close once everything else is done."""


_STILL_SERVED = ("/readyz", "/livez", "/healthz", "/metrics")


def _turned_away(status: int, text: str, type: str, seconds: int) -> Answer:
    """The connection closes with it, so that the client finds another server."""
    headers = {"Content-Type": type, "X-Content-Type-Options": "nosniff", "Retry-After": str(seconds)}
    answer = Answer(f"{text}\n".encode(), status, headers)
    answer.force_close()
    return answer


_GONE = orjson.dumps(errors.ServiceUnavailable("apiserver is shutting down").to_status()).decode()
_ENDING = partial(_turned_away, 503, _GONE, "application/json", 1)
_LATER = partial(_turned_away, 429, "The apiserver is shutting down, please try again later.", "text/plain; charset=utf-8", 5)


def utc_now() -> datetime:
    return datetime.now(UTC)


_KEEPALIVE = ((socket.TCP_KEEPIDLE, 180), (socket.TCP_KEEPINTVL, 20), (socket.TCP_KEEPCNT, 9))
"""Seconds without a byte until a client is asked whether it is there, as upstream's; how often then; how often in vain."""


def _notice_vanished(listening: int) -> None:
    """Connections inherit it from the socket that accepts them."""
    with socket.socket(fileno=os.dup(listening)) as accepting:
        accepting.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            accepting.setsockopt(socket.IPPROTO_TCP, option, value)


class ApiServer:
    """`await start()`, then `url`; `await stop()`. A store that is given stays open, one that was opened is closed."""

    def __init__(self, config: Config, *, store: Store | None = None, kinds: Kinds | None = None, clock: Clock = utc_now) -> None:
        self.config, self.clock = config, clock
        self.kinds = kinds or served_kinds(config.runtime_config, config.features)
        self.metrics = Metrics(self.kinds)
        self._store, self._given = store, store
        self._parts: Parts | None = None
        self._handler: Handler | None = None
        self._http: HttpServer | None = None
        self._listener: asyncio.Server | None = None
        self._sockets: list[asyncio.Server] = []
        self._background = contextlib.AsyncExitStack()
        self.port = config.secure_port
        self._turned_away: Callable[[], Answer] | None = None
        """What new requests get of a server that stops."""

    @property
    def parts(self) -> Parts:
        """Registry, writer and lister of a started server."""
        if self._parts is None:
            raise RuntimeError("the API server has not been started")
        return self._parts

    @property
    def url(self) -> str:
        host = self.config.bind_address
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
        return f"{'https' if self.config.tls else 'http'}://{host}:{self.port}"

    async def start(self) -> None:
        """Returns when requests are answered. Raises OSError when the port is taken, StoreUnavailable when the store is; whatever it
        raises, nothing is left running."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        config = self.config
        if self._store is None:
            self._store = await open_store(config.storage)
        self._parts = await self._background.enter_async_context(
            build(config, self.kinds, self._store, self.clock, self.metrics, lambda: self.url)
        )
        self._handler = self._parts.handler
        self._http = HttpServer(
            self._serve,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=IDLE_TIMEOUT,
        )
        certificates = ServingCertificates(config) if config.tls else None
        if certificates is not None:
            self.metrics.handshake_errors = lambda: certificates.handshake_errors
        context = certificates.context if certificates is not None else None
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            self._http,
            config.bind_address,
            config.secure_port,
            ssl=context,
            backlog=1024,
            reuse_port=config.permit_port_sharing or None,
            ssl_handshake_timeout=HEAD_TIMEOUT if context is not None else None,
        )
        self._http.look_after()
        for listening in self._listener.sockets:
            _notice_vanished(listening.fileno())
        self.port = self._listener.sockets[0].getsockname()[1]
        if certificates is not None:
            self._parts.run("serving certificates", certificates.follow)
        await self._parts.started()

    async def listen_on(self, path: Path) -> None:
        """Answers on a Unix socket too, without TLS: for parts in the same process, who say who they are by a token."""
        assert self._http is not None
        self._sockets.append(await asyncio.get_running_loop().create_unix_server(self._http, str(path)))
        path.chmod(0o600)

    async def stop(self) -> None:
        """In upstream's order: /readyz fails; for `shutdown_delay_duration` all goes on as before; the port closes (or, with
        `shutdown_send_retry_after`, new requests are sent away); requests under way have `shutdown_grace` seconds; watches end; what runs
        beside requests ends, the server's lease and its endpoint go."""
        config, parts = self.config, self._parts
        if parts is not None and parts.ready.is_set():
            parts.health.stopping()
            await asyncio.sleep(config.shutdown_delay_duration)
            self._turned_away = _LATER if config.shutdown_send_retry_after else _ENDING
            if not config.shutdown_send_retry_after:
                self._close_port()
            await parts.drained(config.shutdown_grace)
        self._close_port()
        if parts is not None:
            await parts.end_streams(config.shutdown_watch_termination_grace_period)
            parts.stopping()
        if self._http is not None:
            await self._http.shutdown(min(config.shutdown_grace, _LAST_GRACE))
        await self._background.aclose()
        if self._store is not None and self._given is None:
            await self._store.close()

    def _close_port(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for unix in self._sockets:
            unix.close()

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        assert self._handler is not None
        if self._turned_away is not None and not http.raw_path.startswith(_STILL_SERVED):
            return self._turned_away()
        method, headers = http.method, http.headers
        target = request_info.read(method, http.raw_path)
        ctx = RequestContext(target.info, method, target.path, target.query, headers, http, headers.get("Audit-Id") or new_uuid())
        if target.refused:
            return answer_text(ctx, f'Internal Server Error: "{target.path}": failed to create RequestInfo: {target.refused}\n', 500)
        try:
            return await self._handler(ctx)
        except ConnectionError:
            return Finished(_CLIENT_GONE)
