"""The REST client: the verbs of the Kubernetes API over rows of kinds. Every failure is the ApiError of the Status body.

What cannot be reached (refused, reset, timed out) raises ServiceUnavailable, so that callers retry both alike.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from kubetree.api import errors
from kubetree.api.kinds import Kind
from kubetree.client.config import ClientConfig

Object = dict[str, Any]
Body = dict[str, Any] | list[Any]

PATCH_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
REQUEST_TIMEOUT = 60.0
TOKEN_REFRESH = 60.0
_WATCH_IDLE = 900.0


class Client:
    """A connection pool to one API server. Use it as an async context manager, or call `close()`."""

    def __init__(self, config: ClientConfig, *, connections: int = 100) -> None:
        self.config = config
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._token = (0.0, config.token)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_connector(self.config),
                headers={"User-Agent": self.config.user_agent, "Accept": "application/json"},
                timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT, sock_connect=10),
                read_bufsize=2**20,
                auto_decompress=True,
            )
        return self._session

    def _headers(self, content_type: str = "") -> dict[str, str]:
        headers = {"Content-Type": content_type} if content_type else {}
        if token := self._current_token():
            headers["Authorization"] = f"Bearer {token}"
        if self.config.impersonate:
            headers["Impersonate-User"] = self.config.impersonate
        return headers

    def _current_token(self) -> str:
        read_at, token = self._token
        if self.config.token_file and time.monotonic() - read_at > TOKEN_REFRESH:
            token = Path(self.config.token_file).read_text().strip()
            self._token = (time.monotonic(), token)
        return token

    async def raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "",
        accept: str = "",
    ) -> bytes:
        """One request; the body of a 2xx answer. Raises ApiError."""
        headers = self._headers(content_type or ("application/json" if body is not None else ""))
        if accept:
            headers["Accept"] = accept
        try:
            async with self._open().request(method, self.config.base_url + path, params=params, data=body, headers=headers) as response:
                data = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise errors.ServiceUnavailable(f"{method} {self.config.server}{path}: {error or type(error).__name__}") from error
        if response.status >= 300:
            raise _error(response.status, data)
        return data

    async def _object(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Body | None = None,
        content_type: str = "",
    ) -> Object:
        data = await self.raw(method, path, params=params, body=None if body is None else orjson.dumps(body), content_type=content_type)
        decoded: Object = orjson.loads(data)
        return decoded

    async def get(self, kind: Kind, name: str, namespace: str = "", *, subresource: str = "", resource_version: str = "") -> Object:
        return await self._object("GET", kind.path(namespace, name, subresource), _given(resourceVersion=resource_version))

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        resource_version: str = "",
        continue_: str = "",
    ) -> Object:
        """The kind's List object: `items` and `metadata.resourceVersion`. Items carry no apiVersion and kind, as upstream."""
        params = _given(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            limit=str(limit or ""),
            resourceVersion=resource_version,
            **{"continue": continue_},
        )
        return await self._object("GET", kind.path(namespace), params)

    async def create(
        self,
        kind: Kind,
        obj: Object,
        namespace: str = "",
        *,
        name: str = "",
        subresource: str = "",
        field_manager: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Creates `obj` in its own namespace unless another is given; with `subresource`, posts it below `name`."""
        namespace = namespace or obj.get("metadata", {}).get("namespace", "")
        params = _given(fieldManager=field_manager, dryRun="All" if dry_run else "")
        return await self._object("POST", kind.path(namespace, name, subresource), params, obj)

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "", field_manager: str = "") -> Object:
        metadata = obj["metadata"]
        path = kind.path(metadata.get("namespace", ""), metadata["name"], subresource)
        return await self._object("PUT", path, _given(fieldManager=field_manager), obj)

    async def patch(
        self,
        kind: Kind,
        name: str,
        patch: Body,
        *,
        namespace: str = "",
        type: str = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        """`type` is one of PATCH_TYPES; a JSON patch is a list of operations."""
        params = _given(fieldManager=field_manager, force="true" if force else "")
        return await self._object("PATCH", kind.path(namespace, name, subresource), params, patch, PATCH_TYPES[type])

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        grace_period: int | None = None,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "",
    ) -> Object:
        """`uid` and `resource_version` are preconditions: Conflict when the object is another or has changed."""
        options = _delete_options(grace_period, uid, resource_version, propagation)
        return await self._object("DELETE", kind.path(namespace, name), None, options)

    async def delete_collection(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        grace_period: int | None = None,
        propagation: str = "",
    ) -> Object:
        params = _given(labelSelector=label_selector, fieldSelector=field_selector)
        return await self._object("DELETE", kind.path(namespace), params, _delete_options(grace_period, "", "", propagation))

    async def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        bookmarks: bool = True,
        send_initial_events: bool = False,
        timeout_seconds: int = 0,
        opened: Callable[[], None] | None = None,
    ) -> AsyncIterator[tuple[str, Object]]:
        """(type, object) pairs: ADDED, MODIFIED, DELETED, BOOKMARK. Ends when the server ends it; an ERROR event is raised.

        `opened` is called when the server has accepted the watch.
        """
        params = _given(
            watch="1",
            resourceVersion=resource_version,
            labelSelector=label_selector,
            fieldSelector=field_selector,
            allowWatchBookmarks="true" if bookmarks else "",
            sendInitialEvents="true" if send_initial_events else "",
            resourceVersionMatch="NotOlderThan" if send_initial_events else "",
            timeoutSeconds=str(timeout_seconds or ""),
        )
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_WATCH_IDLE)
        url = self.config.base_url + kind.path(namespace)
        try:
            async with self._open().get(url, params=params, headers=self._headers(), timeout=timeout) as response:
                if response.status >= 300:
                    raise _error(response.status, await response.read())
                if opened is not None:
                    opened()
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
                    for line in lines:
                        event = orjson.loads(line)
                        if event["type"] == "ERROR":
                            raise errors.from_status(event["object"])
                        yield event["type"], event["object"]
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise errors.ServiceUnavailable(f"watch {url}: {error or type(error).__name__}") from error

    async def ready(self, *, attempts: int = 200, interval: float = 0.05) -> None:
        """Returns once /readyz answers ok. Raises the last ApiError when it still does not after `attempts`."""
        for attempt in range(attempts):
            try:
                await self.raw("GET", "/readyz")
                return
            except errors.ApiError:
                if attempt == attempts - 1:
                    raise
            await asyncio.sleep(interval)


def _connector(config: ClientConfig) -> aiohttp.BaseConnector:
    if config.socket:
        return aiohttp.UnixConnector(config.socket, limit=0)
    context = config.ssl_context()
    return aiohttp.TCPConnector(limit=0, limit_per_host=0, ssl=context if context is not None else False)


def _given(**params: str) -> dict[str, str]:
    return {name: value for name, value in params.items() if value}


def _delete_options(grace_period: int | None, uid: str, resource_version: str, propagation: str) -> Object:
    options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if grace_period is not None:
        options["gracePeriodSeconds"] = grace_period
    if preconditions := _given(uid=uid, resourceVersion=resource_version):
        options["preconditions"] = preconditions
    if propagation:
        options["propagationPolicy"] = propagation
    return options


def _error(code: int, data: bytes) -> errors.ApiError:
    try:
        status = orjson.loads(data)
    except orjson.JSONDecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return errors.from_status(status)
    return errors.ApiError(data.decode(errors="replace")[:500] or f"HTTP {code}", status_code=code, status_reason="")
