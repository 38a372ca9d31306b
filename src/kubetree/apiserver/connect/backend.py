"""The client side of proxied requests: one HTTP session for all backends, answers passed on as they come."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp
from aiohttp import web
from yarl import URL

from kubetree.api.errors import ApiError, ServiceUnavailable
from kubetree.apiserver.connect.nodes import insecure_tls, kubelet_tls
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.http.connection import Connection
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.webhooks.failures import worded

HOP = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of a connection, not of what passes over it."""
_CHUNK = 64 * 1024
Failed = Callable[[str, str, str], ApiError]
"""From method, URL and what Go would say of the failure."""


class Backends:
    """Made once a server; `close` ends what is under way."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session: aiohttp.ClientSession | None = None
        self._kubelet_tls: ssl.SSLContext | None = None
        self._insecure: ssl.SSLContext | None = None

    @property
    def kubelet_tls(self) -> ssl.SSLContext:
        if self._kubelet_tls is None:
            self._kubelet_tls = kubelet_tls(self._config)
        return self._kubelet_tls

    @property
    def insecure_tls(self) -> ssl.SSLContext:
        if self._insecure is None:
            self._insecure = insecure_tls()
        return self._insecure

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def open(
        self,
        method: str,
        url: str,
        tls: ssl.SSLContext,
        headers: Mapping[str, str],
        body: AsyncIterator[bytes] | None = None,
        *,
        failed: Failed | None = None,
    ) -> aiohttp.ClientResponse:
        """`failed` makes the error of a backend that cannot be reached, ServiceUnavailable if there is none. Raises that."""
        try:
            return await self.session.request(
                method,
                URL(url, encoded=True),
                data=body,
                headers=headers,
                ssl=tls,
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = worded(error)
            raise failed(method, url, why) if failed is not None else ServiceUnavailable(f"error trying to reach service: {why}") from None


def forwarded_headers(ctx: RequestContext) -> dict[str, str]:
    """The request's headers without those of the connection and without the client's credentials."""
    found: dict[str, str] = {}
    for name, value in ctx.headers.items():
        if name.lower() not in HOP and name.lower() != "authorization":
            found[name] = f"{found[name]}, {value}" if name in found else value
    found["X-Forwarded-For"] = ", ".join(filter(None, (ctx.headers.get("X-Forwarded-For", ""), ctx.remote)))
    return found


async def request_body(ctx: RequestContext) -> AsyncIterator[bytes]:
    async for chunk in ctx.http.content.iter_any():
        yield chunk


async def pass_on(ctx: RequestContext, response: aiohttp.ClientResponse, headers: Mapping[str, str] | None = None) -> web.StreamResponse:
    """Streams an answer to the client, chunk by chunk as it comes; a client that leaves ends the backend's request too."""
    answer = web.StreamResponse(status=response.status, reason=response.reason)
    for name, value in response.headers.items():
        if name.lower() not in HOP:
            answer.headers.add(name, value)
    answer.headers["Audit-Id"] = ctx.audit_id
    answer.headers.update(headers or {})
    answer.headers.update((ctx.flow_headers or {}) | (ctx.answer_headers or {}))
    connection = ctx.http.protocol
    if isinstance(connection, Connection):
        connection.on_lost = response.close  # a backend that has nothing to say would not notice otherwise
    try:
        length = response.content_length
        if length is not None and ctx.method != "HEAD":
            answer.content_length = length
        elif ctx.http.version >= (1, 1) and ctx.method != "HEAD" and response.status not in (204, 304):
            answer.enable_chunked_encoding()
        if ctx.audit is not None:
            await ctx.audit.started(response.status)
        await answer.prepare(ctx.http)
        ctx.fresh = False
        async for chunk in response.content.iter_chunked(_CHUNK) if length is not None else response.content.iter_any():
            await answer.write(chunk)
        await answer.write_eof()
    except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError):
        transport = ctx.http.transport
        if transport is not None:
            transport.close()
    finally:
        if isinstance(connection, Connection):
            connection.on_lost = None
        response.close()
    return answer
