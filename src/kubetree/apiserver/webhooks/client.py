"""Posts a review and gives back the JSON of the answer: one pool of connections for all destinations."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from kubetree.api.errors import ApiError
from kubetree.api.schema.go_json import parse
from kubetree.apiserver.metrics.counters import Calls
from kubetree.apiserver.webhooks import failures
from kubetree.apiserver.webhooks.destinations import Destination
from kubetree.apiserver.webhooks.exec_plugin import Issued, PluginFailed
from kubetree.apiserver.webhooks.failures import CallFailed
from kubetree.apiserver.webhooks.resolution import Address, ServiceResolver
from kubetree.apiserver.webhooks.tls import TrustCache
from kubetree.apiserver.wire.yaml_format import yaml_to_json

Object = dict[str, Any]
Wait = Callable[[float], Awaitable[None]]
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json, */*", "User-Agent": "kube-apiserver-admission"}
_MOST_ANSWER = 16 * 1024 * 1024
_STALE_TRIES = 3
_MOST_RETRIES = 10
_MOST_REDIRECTS = 10


class WebhookClient:
    """Made once a server; `close` ends what is under way. `wait` is how the seconds pass that another server asks for."""

    def __init__(
        self, resolver: ServiceResolver, trusts: TrustCache | None = None, wait: Wait = asyncio.sleep, counts: Calls | None = None
    ) -> None:
        self.resolver, self._wait, self._counts = resolver, wait, counts or Calls()
        self.trusts = trusts or TrustCache()
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, destination: Destination, review: Object, *, timeout: float, left: float = math.inf) -> Object:
        """The answer's JSON object. `timeout` is in seconds; it is told to the other side, in whole ones, or `left` where that is less:
        the time of whoever waits for this, who sees to it that it is kept. Raises CallFailed."""
        body = await self.send(destination, review, timeout=timeout, left=left)
        return _object(body)

    async def send(self, destination: Destination, body: Object, *, timeout: float, left: float = math.inf) -> bytes:
        """The same, with the answer as it came: of those who are only told something."""
        shown = told(destination.url, max(min(timeout, left), 0.001))
        try:
            async with asyncio.timeout(timeout):
                return await self._patiently(destination, shown, orjson.dumps(body))
        except TimeoutError:
            raise failures.timed_out(shown) from None

    async def _patiently(self, destination: Destination, shown: str, body: bytes) -> bytes:
        """Who answers that it cannot now, and when it can, is asked again then, as client-go does."""
        for _ in range(_MOST_RETRIES):
            try:
                return await self._exchange(destination, shown, body)
            except CallFailed as error:
                if error.retry_after is None:
                    raise
                await self._wait(error.retry_after)
        return await self._exchange(destination, shown, body)

    async def _exchange(self, destination: Destination, shown: str, body: bytes) -> bytes:
        """A kept connection that the other side closed meanwhile is no failure: the next one is tried, as Go does."""
        issued = None
        if destination.plugin is not None:
            try:
                issued = await destination.plugin.credentials()
            except PluginFailed as error:
                raise CallFailed(f'Post "{shown}": {error}') from None
            destination = _with(destination, issued)
        try:
            context = self.trusts.context(destination.trust)
        except ValueError as error:
            raise CallFailed(f"could not get REST client: {error}") from None
        for attempt in range(_STALE_TRIES + 1):
            state: dict[str, bool] = {}
            started, code, got = perf_counter(), "<error>", -1
            try:
                data = await self._request(destination, shown, body, context, state)
                code, got = "200", len(data)
                return data
            except CallFailed as error:
                code = str(error.status.status_code) if error.status is not None else code
                if issued is not None and destination.plugin is not None and code == "401":
                    destination.plugin.forget(issued)
                raise
            except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError) as error:
                if attempt == _STALE_TRIES or not state.get("reused"):
                    raise failures.not_reached(shown, error) from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if isinstance(error, TimeoutError):
                    raise
                self._look_at(error)
                raise failures.not_reached(shown, error) from None
            finally:
                self._counts.add(destination.host_port, "POST", code, perf_counter() - started, len(body), got)
        raise AssertionError("unreachable")

    def _look_at(self, error: Exception) -> None:
        """Certificates that Go refuses as well: those that name no host but in their subject, and those signed with SHA-1."""
        why = failures.distrusted(error)
        if why == failures.NO_NAMES:
            self._counts.nameless.add()
        elif why == failures.SHA1:
            self._counts.weak.add()

    async def _request(self, destination: Destination, shown: str, body: bytes, context: Any, state: dict[str, bool]) -> bytes:
        url = URL(shown, encoded=True)
        headers = CIMultiDict(_HEADERS | destination.headers)
        headers.extend(destination.repeated)
        if destination.token_file:
            headers["Authorization"] = f"Bearer {Path(destination.token_file).read_text().strip()}"
        name = None
        if destination.service is not None:
            name = destination.server_name
            headers["Host"] = url.raw_authority
            try:
                url = _at(url, self.resolver.resolve(*destination.service))
            except ApiError as error:
                raise CallFailed(f'Post "{shown}": {error.message}') from None
        async with self._open().post(
            url,
            data=body,
            headers=headers,
            ssl=context,
            server_hostname=name,
            allow_redirects=name is None,  # a service's address is not where its redirects lead
            max_redirects=_MOST_REDIRECTS,
            trace_request_ctx=state,
        ) as response:
            data = await _read(response)
            if not 200 <= response.status <= 206:
                said = response.headers
                raise failures.of_answer(response.status, said.get("Content-Type", ""), data, said.get("Retry-After", ""))
            return data

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_connection_reuseconn.append(_note_reuse)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=90),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[trace],
            )
        return self._session


def _with(destination: Destination, issued: Issued) -> Destination:
    """With what a program has given."""
    headers = {**destination.headers, "Authorization": f"Bearer {issued.token}"} if issued.token else destination.headers
    trust = replace(destination.trust, certificate=issued.certificate, key=issued.key) if issued.certificate else destination.trust
    return replace(destination, headers=headers, trust=trust)


def told(url: str, timeout: float) -> str:
    """The URL with the timeout, rounded up to whole seconds, as its parameter."""
    seconds = int(timeout) + (timeout > int(timeout))
    shown = f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"
    return f"{url}{'&' if '?' in url else '?'}timeout={shown}"


_TYPE_META = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'


def _object(body: bytes) -> Object:
    """The answer as JSON, or YAML, which client-go takes too. Raises CallFailed, worded as its decoder words it."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = _from_yaml(body)
    if not isinstance(answer, dict):
        what = {bool: "bool", str: "string", list: "array"}.get(type(answer), "number")
        raise CallFailed(f"couldn't get version/kind; json parse error: json: cannot unmarshal {what} into Go value of type {_TYPE_META}")
    return answer


def _from_yaml(body: bytes) -> Any:
    try:
        return orjson.loads(yaml_to_json(body))
    except ValueError:
        pass
    try:
        return parse(body)
    except ValueError as error:
        raise CallFailed(f"couldn't get version/kind; json parse error: {error}") from None


def _at(url: URL, address: Address) -> URL:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return URL(f"{url.scheme}://{host}:{address.port}{url.raw_path_qs}", encoded=True)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > _MOST_ANSWER:
            raise CallFailed(f"the answer is longer than {_MOST_ANSWER} bytes")
    return bytes(data)


async def _note_reuse(_: aiohttp.ClientSession, context: Any, __: aiohttp.TraceConnectionReuseconnParams) -> None:
    context.trace_request_ctx["reused"] = True


async def retried(call: Callable[[], Awaitable[Object]], *, initial: float = 0.5, steps: int = 5) -> Object:
    """`call` again after failures that may pass (cut connections, 429, 500, 504, a Retry-After), as upstream's authentication and
    authorization webhooks do: waits grow by half each time, with a fifth of jitter. Raises the last CallFailed."""
    delay = initial
    for step in range(steps):
        try:
            return await call()
        except CallFailed as error:
            if step == steps - 1 or not _may_pass(error):
                raise
        await asyncio.sleep(delay * (1 + 0.2 * random.random()))
        delay *= 1.5
    raise ValueError("steps must be at least 1")


def _may_pass(error: CallFailed) -> bool:
    status = error.status
    return error.reset or (status is not None and (status.status_code in (429, 500, 504) or status.retry_after > 0))
