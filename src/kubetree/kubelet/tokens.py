"""Service-account tokens for pods: asked for when a volume needs one, renewed before they expire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client.rest import Client
from kubetree.kubelet import specs
from kubetree.kubelet.volumes.plugin import VolumeError

Object = dict[str, Any]

SERVICE_ACCOUNT = kind("v1", "ServiceAccount")
DEFAULT_EXPIRATION = 3600
_MAX_AGE = timedelta(hours=24)


class Tokens:
    """Renewed at four fifths of a token's life, or after a day, whichever is sooner."""

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
        if kept is not None and now < min(kept[1] + (kept[2] - kept[1]) * 0.8, kept[1] + _MAX_AGE):
            return kept[0]
        try:
            answer = await self._request(pod, account, audience, seconds)
        except errors.ApiError as error:
            if kept is not None and now < kept[2]:
                return kept[0]
            raise VolumeError(f"failed to fetch token: {error.message}") from error
        token = str(answer["status"]["token"])
        expires = datetime.fromisoformat(answer["status"]["expirationTimestamp"].replace("Z", "+00:00"))
        self._kept[key] = (token, now, expires)
        return token

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
