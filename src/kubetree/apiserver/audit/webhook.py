"""The webhook backend: events as an EventList, posted to the server that a kubeconfig file names, tried again with growing pauses.

Follows plugin/pkg/audit/webhook over util/webhook: five tries in all, each pause half as long again as the one before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from kubetree.apiserver.audit.policy import API_VERSION
from kubetree.apiserver.audit.sinks import Event, Losses
from kubetree.apiserver.webhooks import CallFailed, WebhookClient, of_kubeconfig

_TRIES, _FACTOR, _TIMEOUT = 5, 1.5, 30.0


class WebhookBackend:
    """`initial_backoff` in seconds. Raises client.ConfigError, OSError for a file that names no server."""

    def __init__(self, client: WebhookClient, config_file: Path, initial_backoff: float, losses: Losses) -> None:
        self._client, self._pause, self._losses = client, initial_backoff, losses
        self._destination = of_kubeconfig(config_file)

    async def process(self, events: Sequence[Event]) -> bool:
        body = {"kind": "EventList", "apiVersion": API_VERSION, "metadata": {}, "items": [_item(event) for event in events]}
        pause, last = self._pause, None
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(pause)
                pause *= _FACTOR
            try:
                await self._client.send(self._destination, body, timeout=_TIMEOUT)
            except CallFailed as error:
                last = error
            else:
                return True
        self._losses.count("webhook", last, events)
        return False

    async def close(self) -> None:
        return None


def _item(event: Event) -> Event:
    return {key: value for key, value in event.items() if key not in ("kind", "apiVersion")}
