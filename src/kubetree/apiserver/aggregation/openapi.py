"""The OpenAPI documents of other servers: their v3 documents by name, their v2 documents to be joined with this server's own.

Asked for when a client asks here, and again after a minute; what was got stays good while the server does not answer. Follows
kube-aggregator's controllers openapi and openapiv3, which ask without being asked.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from kubetree.api.openapi import encode_proto_v2
from kubetree.api.openapi.convert import to_v3
from kubetree.api.openapi.merge import filtered
from kubetree.apiserver.aggregation.remote import MALFORMED, READER, Remote, Transport, Unreachable

Document = dict[str, Any]
_FRESH = 60.0
_TIMEOUT = 5.0


@dataclass(slots=True)
class _Known:
    """What one server said. `index` is None for one that has no v3 documents."""

    asked: float = float("-inf")
    index: dict[str, str] | None = field(default_factory=dict)
    """Document name to its URL."""
    v2: Document | None = None
    tag: str = ""
    v2_asked: float = float("-inf")


class RemoteDocuments:
    """`clock` gives monotonic seconds."""

    def __init__(self, remotes: Iterable[Remote], transport: Transport, clock: Callable[[], float]) -> None:
        self._remotes, self._transport, self._clock = remotes, transport, clock
        self._known: dict[str, _Known] = {}

    def _of(self, remote: Remote) -> _Known:
        """Keyed by what the APIService says, so that a changed one is asked anew."""
        names = {self._key(found) for found in self._remotes}
        self._known = {key: known for key, known in self._known.items() if key in names}
        return self._known.setdefault(self._key(remote), _Known())

    @staticmethod
    def _key(remote: Remote) -> str:
        return f"{remote.name} {remote.obj['metadata'].get('uid')} {remote.service}"

    async def v2(self) -> list[Document]:
        """Of all that have one: only what is below their group and version."""
        remotes = sorted(self._remotes, key=_priority)
        await asyncio.gather(*(self._refresh_v2(remote) for remote in remotes))
        return [known.v2 for known in map(self._of, remotes) if known.v2 is not None]

    def state(self) -> str:
        """Changes when one of the documents of `v2` does."""
        return " ".join(f"{remote.name}={self._of(remote).tag}" for remote in self._remotes)

    async def index(self) -> dict[str, str]:
        """Document name to the URL that changes with it."""
        await asyncio.gather(*(self._refresh_index(remote) for remote in self._remotes))
        found: dict[str, str] = {}
        for remote in self._remotes:
            known = self._of(remote)
            if known.index is None:
                if known.v2 is not None:
                    found[remote.document] = f"/openapi/v3/{remote.document}?hash={known.tag}"
            else:
                found |= known.index
        return found

    def owner(self, name: str) -> Remote | None:
        """Whose a document is."""
        return next((remote for remote in self._remotes if remote.document == name), None)

    async def converted(self, remote: Remote) -> tuple[Document, str] | None:
        """The v3 document, made of the v2 one, of a server that has no v3 documents itself, and its hash; None for one that has."""
        await self._refresh_index(remote)
        known = self._of(remote)
        return (to_v3(known.v2), known.tag) if known.index is None and known.v2 is not None else None

    async def _refresh_index(self, remote: Remote) -> None:
        known = self._of(remote)
        if not remote.available or self._clock() - known.asked < _FRESH:
            return
        known.asked = self._clock()
        try:
            status, _, body = await self._transport.fetch(remote, "/openapi/v3", READER, {"Accept": "application/json"}, _TIMEOUT)
            if status == 404:
                known.index = None
            elif status == 200:
                paths = orjson.loads(body)["paths"].items()
                known.index = {name: str(item["serverRelativeURL"]) for name, item in paths if name == remote.document}
        except (Unreachable, *MALFORMED):
            return
        if known.index is None:
            await self._refresh_v2(remote)

    async def _refresh_v2(self, remote: Remote) -> None:
        known = self._of(remote)
        if not remote.available or self._clock() - known.v2_asked < _FRESH:
            return
        known.v2_asked = self._clock()
        headers = {"Accept": "application/json"} | ({"If-None-Match": known.tag} if known.tag.startswith('"') else {})
        try:
            status, answered, body = await self._transport.fetch(remote, "/openapi/v2", READER, headers, _TIMEOUT)
            if status == 404:
                known.v2, known.tag = None, ""
            elif status == 200:
                document = filtered(orjson.loads(body), f"{remote.path}/")
                encode_proto_v2(document), to_v3(document)  # what is no OpenAPI fails here, and not when somebody asks for all of it
                known.v2 = document
                known.tag = answered.get("Etag") or hashlib.sha512(body).hexdigest().upper()
        except (Unreachable, *MALFORMED):
            return


def _priority(remote: Remote) -> tuple[int, str]:
    return -int(remote.obj["spec"].get("groupPriorityMinimum") or 0), remote.name
