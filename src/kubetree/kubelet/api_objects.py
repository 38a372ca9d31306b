"""What the kubelet reads from the API for pods: config maps, secrets and service-account tokens, kept for a little while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.client.rest import Client
from kubetree.kubelet import specs
from kubetree.kubelet.volumes.plugin import VolumeError

Object = dict[str, Any]

CONFIG_MAP, SECRET, SERVICE_ACCOUNT = kind("v1", "ConfigMap"), kind("v1", "Secret"), kind("v1", "ServiceAccount")
KEEP = 30.0
"""Seconds that an answer is used again; a new pod always asks afresh."""
DEFAULT_EXPIRATION = 3607
_TOKEN_MAX_AGE = timedelta(hours=24)


class ApiObjects:
    """Getters with a short memory. Without a client nothing is ever found."""

    def __init__(self, client: Client | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._kept: dict[tuple[str, str, str], tuple[float, Object | None]] = {}
        self._asking: dict[tuple[str, str, str], asyncio.Future[Object | None]] = {}

    async def config_map(self, namespace: str, name: str) -> Object | None:
        return await self._get(CONFIG_MAP, namespace, name)

    async def secret(self, namespace: str, name: str) -> Object | None:
        return await self._get(SECRET, namespace, name)

    async def _get(self, what: Kind, namespace: str, name: str) -> Object | None:
        """The object, or None when it does not exist. Raises VolumeError when the API cannot say."""
        key = (what.kind, namespace, name)
        kept = self._kept.get(key)
        if kept and kept[1] is not None and self._clock() - kept[0] < KEEP:
            return kept[1]
        if key in self._asking:
            return await asyncio.shield(self._asking[key])
        future = self._asking[key] = asyncio.get_running_loop().create_future()
        try:
            found = await self._ask(what, namespace, name)
            self._kept[key] = (self._clock(), found)
            future.set_result(found)
            return found
        except BaseException as error:
            future.set_exception(error if isinstance(error, Exception) else VolumeError("the request was given up"))
            future.exception()
            raise
        finally:
            del self._asking[key]

    async def _ask(self, what: Kind, namespace: str, name: str) -> Object | None:
        if self._client is None:
            raise VolumeError(f"couldn't get {what.kind[:1].lower()}{what.kind[1:]} {namespace}/{name}, no kubeClient defined")
        try:
            return await self._client.get(what, name, namespace)
        except errors.NotFound:
            return None
        except errors.ApiError as error:
            kept = self._kept.get((what.kind, namespace, name))
            if kept and kept[1] is not None:
                return kept[1]
            raise VolumeError(error.message) from error

    def forget(self, pod: Object) -> None:
        """Ask anew for what this pod refers to: a new pod must see what was written just before it."""
        namespace = pod["metadata"]["namespace"]
        for key in [k for k in self._kept if k[1] == namespace]:
            stamp, found = self._kept[key]
            if self._clock() - stamp > 1.0:
                self._kept[key] = (stamp - KEEP, found)


class Tokens:
    """Service-account tokens bound to pods: renewed at four fifths of their life, or after a day."""

    def __init__(self, client: Client | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._client, self._now = client, now
        self._kept: dict[tuple[str, str, str, int], tuple[str, datetime, datetime]] = {}

    async def token(self, pod: Object, projection: Object) -> str:
        """The token for a serviceAccountToken projection. Raises VolumeError."""
        seconds = int(projection.get("expirationSeconds") or DEFAULT_EXPIRATION)
        audience = projection.get("audience") or ""
        account = pod["spec"].get("serviceAccountName") or "default"
        key = (specs.uid(pod), account, audience, seconds)
        now = self._now()
        kept = self._kept.get(key)
        if kept is not None:
            token, issued, expires = kept
            if now < issued + (expires - issued) * 0.8 and now < issued + _TOKEN_MAX_AGE:
                return token
        try:
            answer = await self._request(pod, account, audience, seconds)
        except errors.ApiError as error:
            if kept is not None and now < kept[2]:
                return kept[0]
            raise VolumeError(f"failed to fetch token: {error.message}") from error
        token = answer["status"]["token"]
        expires = datetime.fromisoformat(answer["status"]["expirationTimestamp"].replace("Z", "+00:00"))
        self._kept[key] = (token, now, expires)
        return str(token)

    async def _request(self, pod: Object, account: str, audience: str, seconds: int) -> Object:
        if self._client is None:
            raise VolumeError("cannot use TokenManager when kubelet is in standalone mode")
        metadata = pod["metadata"]
        request: Object = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]},
            },
        }
        return await self._client.create(SERVICE_ACCOUNT, request, metadata["namespace"], subresource="token", name=account)

    def forget(self, uid: str) -> None:
        for key in [k for k in self._kept if k[0] == uid]:
            del self._kept[key]
