"""What an issuer publishes: its discovery document and its keys, fetched when they are needed and fetched again for a key not known yet.

Follows go-oidc's Provider and RemoteKeySet as upstream's authenticator uses them: the issuer need not be there when this server starts.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import jwt

Object = dict[str, Any]
RETRY_SECONDS = 10.0
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_LONGEST = 4 * 1024 * 1024
WELL_KNOWN = "/.well-known/openid-configuration"


class ProviderError(Exception):
    """The issuer cannot be asked, or what it answers is of no use."""


class KeySet:
    """The keys of one issuer. `authority` is PEM ('': the machine's authorities), `discovery_url` where the document is if not below
    the issuer's own URL. `clock` gives seconds that only grow."""

    def __init__(self, issuer: str, clock: Callable[[], float], *, discovery_url: str = "", authority: str = "") -> None:
        self.issuer = issuer
        self._discovery = discovery_url or issuer.rstrip("/") + WELL_KNOWN
        self._tls = ssl.create_default_context(cadata=authority or None)
        self._clock = clock
        self._jwks_url = ""
        self._keys: list[jwt.PyJWK] = []
        self._session: aiohttp.ClientSession | None = None
        self._fetching = asyncio.Lock()
        self._fetches = 0
        self._failed_at: float | None = None
        self.fault = f'oidc: authenticator for issuer "{issuer}" is not initialized'
        """Why it is of no use yet; '' once it is."""

    async def start(self) -> None:
        """Reads the discovery document, again and again until that works."""
        while not await self.ready():
            await asyncio.sleep(RETRY_SECONDS)

    async def ready(self) -> bool:
        if self._jwks_url:
            return True
        try:
            document = await self._json(self._discovery)
            if document.get("issuer") != self.issuer:
                raise ProviderError(
                    f'oidc: issuer did not match the issuer returned by provider, expected "{self.issuer}" got "{document.get("issuer")}"'
                )
            if not document.get("jwks_uri"):
                raise ProviderError("provider did not return JWKS URL")
        except ProviderError as error:
            self.fault = str(error)
            return False
        self._jwks_url, self.fault = str(document["jwks_uri"]), ""
        return True

    def matching(self, key_id: str) -> list[jwt.PyJWK]:
        """The known keys that a token may have been signed with; all of them for a token that names none."""
        return [key for key in self._keys if not key_id or key.key_id == key_id]

    @property
    def fetches(self) -> int:
        """How often keys were fetched: who looked before a fetch must look again after it."""
        return self._fetches

    async def refresh(self, seen: int) -> None:
        """Fetches the keys unless somebody did since `fetches` was `seen`. Raises ProviderError."""
        async with self._fetching:
            if self._fetches != seen:
                return
            try:
                document = await self._json(self._jwks_url)
            except ProviderError as error:
                raise ProviderError(f"fetching keys oidc: get keys failed {error}") from None
            keys = document.get("keys")
            self._keys = [key for entry in (keys if isinstance(keys, list) else ()) if (key := _key(entry)) is not None]
            self._fetches += 1

    async def text(self, url: str, token: str = "") -> str:
        """A GET of something else of the issuer's. Raises ProviderError."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self._open().get(url, headers=headers, ssl=self._tls) as response:
                body = await response.content.read(_LONGEST)
                if not 200 <= response.status <= 226:
                    raise ProviderError(f"{response.status} {response.reason}: {body[:500].decode(errors='replace')}")
                return body.decode(errors="replace")
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise ProviderError(f'Get "{url}": {error or "timed out"}') from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _json(self, url: str) -> Object:
        try:
            found = json.loads(await self.text(url))
        except ValueError as error:
            raise ProviderError(f"oidc: failed to decode what {url} gave: {error}") from None
        if not isinstance(found, dict):
            raise ProviderError(f"oidc: failed to decode what {url} gave: no object")
        return found

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def _key(entry: Any) -> jwt.PyJWK | None:
    """None for a key of a kind that signs no tokens here."""
    try:
        return jwt.PyJWK.from_dict(entry) if entry.get("use") in (None, "sig") else None
    except (jwt.PyJWTError, AttributeError, ValueError, TypeError):
        return None
