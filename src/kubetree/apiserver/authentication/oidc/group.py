"""All issuers of one configuration as one authenticator, exchanged for another when the configuration changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from kubetree.apiserver.authentication.oidc.authenticator import OIDCTokens
from kubetree.apiserver.authentication.oidc.configuration import Issuer
from kubetree.apiserver.authentication.oidc.provider import KeySet
from kubetree.apiserver.authentication.tokens import Verdict

log = logging.getLogger(__name__)
_NEW_ISSUERS_TIMEOUT, _GRACE = 60.0, 60.0


class Issuers:
    """`algorithms` are those that tokens may be signed with. `clock` gives seconds since the epoch, `tick` seconds that only grow."""

    def __init__(self, algorithms: Sequence[str], clock: Callable[[], float], tick: Callable[[], float]) -> None:
        self._algorithms, self._clock, self._tick = tuple(algorithms), clock, tick
        self._by_url: dict[str, OIDCTokens] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[str, asyncio.Task[None]] = {}

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Verdict | None:
        for tokens in self._by_url.values():
            verdict = await tokens.authenticate_token(token, audiences)
            if verdict is not None:
                return verdict
        return None

    def run(self, issuers: Sequence[Issuer], tasks: asyncio.TaskGroup) -> None:
        """Begins to fetch what the issuers publish; a provider that is not there yet is tried again."""
        self._tasks = tasks
        self._by_url = self._made(issuers)
        for tokens in self._by_url.values():
            self._start(tokens)

    def also(self, duty: Coroutine[Any, Any, None]) -> None:
        """Runs beside them, and ends with them."""
        assert self._tasks is not None
        self._running["duty"] = self._tasks.create_task(duty)

    async def replace(self, issuers: Sequence[Issuer]) -> None:
        """Exchanges them once all the new ones can be used. Raises ValueError when that does not come to be."""
        assert self._tasks is not None
        new = self._made(issuers)
        try:
            async with asyncio.timeout(_NEW_ISSUERS_TIMEOUT):
                for tokens in new.values():
                    await tokens.keys.start()
        except BaseException as error:
            faults = [tokens.keys.fault for tokens in new.values() if tokens.keys.fault]
            for tokens in new.values():
                await tokens.close()
            if isinstance(error, TimeoutError):
                raise ValueError(", ".join(faults)) from None
            raise
        old, self._by_url = self._by_url, new
        self._tasks.create_task(self._retire(list(old.values())))

    async def close(self) -> None:
        for task in self._running.values():
            task.cancel()
        for tokens in self._by_url.values():
            await tokens.close()

    def _made(self, issuers: Sequence[Issuer]) -> dict[str, OIDCTokens]:
        def made(issuer: Issuer) -> OIDCTokens:
            key_set = partial(KeySet, clock=self._tick, authority=issuer.authority)
            keys = key_set(issuer.url, discovery_url=issuer.discovery_url)
            return OIDCTokens(issuer, keys, self._algorithms, self._clock, key_set)

        return {issuer.url: made(issuer) for issuer in issuers}

    def _start(self, tokens: OIDCTokens) -> None:
        assert self._tasks is not None
        self._running[tokens.issuer.url] = self._tasks.create_task(tokens.keys.start(), name=f"keys of {tokens.issuer.url}")

    async def _retire(self, old: Sequence[OIDCTokens]) -> None:
        """Verifications that are under way may end."""
        task = asyncio.current_task()
        assert task is not None
        self._running[f"retired {id(task)}"] = task
        try:
            await asyncio.sleep(_GRACE)
        finally:
            for tokens in old:
                await tokens.close()
