"""The members of an etcd cluster: one gRPC channel each, calls go to one of them until it fails, then to the next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Never

from kubetree.grpc import TLS, Channel, Code, Keepalive, RpcError, StreamCall
from kubetree.store.etcd.messages import WATCH
from kubetree.store.protocol import Compacted, Refused, StoreUnavailable

CALL_TIMEOUT = 10.0
KEEPALIVE = Keepalive()
LARGEST_REQUEST = 2 * 1024 * 1024
"""Bytes, as of upstream's client; etcd itself by default takes 1.5 MiB."""
_MOVE_ON = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
_LEADER_NEEDED = (("hasleader", "true"),)
"""A member without a leader then ends its watches, which would stand still."""


class Endpoints:
    """`addresses` are host:port."""

    def __init__(self, addresses: Sequence[str], tls: TLS | None) -> None:
        if not addresses:
            raise ValueError("an etcd store needs at least one endpoint: etcd://host:port")
        self._addresses = addresses
        self._channels = [Channel(address, tls, keepalive=KEEPALIVE) for address in addresses]
        self._current = 0

    @property
    def names(self) -> str:
        return ", ".join(self._addresses)

    async def call(self, method: str, request: bytes, *, repeatable: bool) -> bytes:
        """One answer of one member. A call that is not `repeatable` is tried elsewhere only if that member cannot have acted on it.

        Raises StoreUnavailable, Compacted (with oldest 0: etcd does not say), Refused, and ValueError for a revision still to come.
        """
        if len(request) > LARGEST_REQUEST:
            large = f"trying to send message larger than max ({len(request)} vs. {LARGEST_REQUEST})"
            raise Refused(str(RpcError(Code.RESOURCE_EXHAUSTED, large)))
        for attempt in range(len(self._channels)):
            at = self._current
            try:
                return await self._channels[at].unary(method, request, timeout=CALL_TIMEOUT)
            except RpcError as error:
                if error.code in _MOVE_ON:
                    self.leave(at)
                    if (repeatable or error.unprocessed) and attempt + 1 < len(self._channels):
                        continue
                self._raise(error)
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[StreamCall]:
        """A watch stream on the current member; when it fails, the next one is gone to. Raises StoreUnavailable."""
        at = self._current
        try:
            async with self._channels[at].stream(WATCH, metadata=_LEADER_NEEDED) as call:
                yield call
        except RpcError as error:
            self.leave(at)
            raise StoreUnavailable(f"the watch of etcd at {self.names} broke: {error.details}") from None
        except StoreUnavailable:
            self.leave(at)
            raise

    def leave(self, at: int) -> None:
        """Goes to the next member, unless another call has done so already."""
        if self._current == at:
            self._current = (at + 1) % len(self._channels)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    def _raise(self, error: RpcError) -> Never:
        details = error.details or error.code.name
        if error.code is Code.OUT_OF_RANGE:
            if "compacted" in details:
                raise Compacted(0, 0) from None
            raise ValueError(details) from None
        if error.code is Code.INVALID_ARGUMENT:
            raise Refused(details) from None
        raise StoreUnavailable(f"etcd at {self.names}: {details}") from None
