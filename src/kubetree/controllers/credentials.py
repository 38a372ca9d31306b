"""Each controller acts as its own service account in kube-system, so that RBAC grants it what it needs and nothing more.

As kube-controller-manager's --use-service-account-credentials. Watching is done by the process's own user, who may list everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import aiohttp

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client import Client
from kubetree.client.clock import Clock

SERVICE_ACCOUNT = kind("v1", "ServiceAccount")
NAMESPACE = "kube-system"
LIFETIME = 3600
RENEW_BEFORE = 600.0
"""Seconds before its end that a token is replaced."""


class ServiceAccountClient(Client):
    """A client that asks for its token when it first needs one. `owner` may create tokens; `pool` has no credentials of its own."""

    def __init__(self, owner: Client, pool: Client, account: str, clock: Clock) -> None:
        super().__init__(pool.config)
        self._owner, self._pool, self._account, self._clock = owner, pool, account, clock
        self._bearer, self._renew_at = "", 0.0
        self._asking = asyncio.Lock()

    def _open(self) -> aiohttp.ClientSession:
        return self._pool._open()

    def _current_token(self) -> str:
        return self._bearer

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
        async with self._asking:
            if self._clock.monotonic() >= self._renew_at:
                self._bearer = await self._new_token()
                self._renew_at = self._clock.monotonic() + LIFETIME - RENEW_BEFORE
        try:
            return await super().raw(method, path, params=params, body=body, content_type=content_type, accept=accept)
        except errors.Unauthorized:
            self._renew_at = 0.0
            raise

    async def _new_token(self) -> str:
        """A token of the account, which is created if need be."""
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": LIFETIME}}
        try:
            made = await self._owner.create(SERVICE_ACCOUNT, request, NAMESPACE, name=self._account, subresource="token")
        except errors.NotFound:
            await self._create_account()
            made = await self._owner.create(SERVICE_ACCOUNT, request, NAMESPACE, name=self._account, subresource="token")
        return str(made["status"]["token"])

    async def _create_account(self) -> None:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": self._account, "namespace": NAMESPACE}}
        try:
            await self._owner.create(SERVICE_ACCOUNT, account)
        except errors.AlreadyExists:
            return


class Credentials:
    """Clients for duties: by service account, or all the process's own when `separate` is False."""

    def __init__(self, owner: Client, clock: Clock, *, separate: bool) -> None:
        self._owner, self._clock, self._separate = owner, clock, separate
        self._pool: Client | None = None

    def client(self, account: str) -> Client:
        """The client for a controller; `account` "" is the process's own."""
        if not self._separate or not account:
            return self._owner
        if self._pool is None:
            self._pool = Client(replace(self._owner.config, client_cert=None, client_key=None, token="", token_file=""))
        return ServiceAccountClient(self._owner, self._pool, account, self._clock)

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
