"""The members of an etcd cluster: one gRPC channel each, calls go to one of them until it fails, then to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

import grpc
import grpc.aio

from kubetree.store.etcd.messages import callables
from kubetree.store.protocol import Compacted, StoreUnavailable

CALL_TIMEOUT = 10.0
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
_MOVE_ON = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_NEVER_SENT = ("failed to connect", "Failed to connect", "Connection refused", "DNS resolution failed")


@dataclass(frozen=True, slots=True)
class TLS:
    """PEM files: what kube-apiserver's --etcd-cafile, --etcd-certfile and --etcd-keyfile name."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        def read(path: Path | None) -> bytes | None:
            return path.read_bytes() if path is not None else None

        return grpc.ssl_channel_credentials(read(self.ca), read(self.key), read(self.certificate))


class Endpoints:
    """`addresses` are host:port."""

    def __init__(self, addresses: Sequence[str], tls: TLS | None) -> None:
        if not addresses:
            raise ValueError("an etcd store needs at least one endpoint: etcd://host:port")
        self._addresses = addresses
        if tls is None:
            self._channels = [grpc.aio.insecure_channel(address, _OPTIONS) for address in addresses]
        else:
            credentials = tls.credentials()
            self._channels = [grpc.aio.secure_channel(address, credentials, _OPTIONS) for address in addresses]
        self._methods = [callables(channel) for channel in self._channels]
        self._current = 0

    @property
    def names(self) -> str:
        return ", ".join(self._addresses)

    async def call(self, method: str, request: Any, *, repeatable: bool) -> Any:
        """One answer of one member. A call that is not `repeatable` is tried elsewhere only if it was never sent.

        Raises StoreUnavailable, Compacted (with oldest 0: etcd does not say) and ValueError for what etcd finds wrong with the request.
        """
        for attempt in range(len(self._channels)):
            at = self._current
            try:
                return await self._methods[at][method](request, timeout=CALL_TIMEOUT)
            except grpc.aio.AioRpcError as error:
                if error.code() in _MOVE_ON:
                    self.leave(at)
                    again = repeatable or any(text in (error.details() or "") for text in _NEVER_SENT)
                    if again and attempt + 1 < len(self._channels):
                        continue
                self._raise(error)
        raise AssertionError("unreachable")

    def stream(self) -> tuple[int, Any]:
        """A watch stream on the current member, and which one that is: what to `leave` when it fails."""
        return self._current, self._methods[self._current]["watch"]()

    def leave(self, at: int) -> None:
        """Goes to the next member, unless another call has done so already."""
        if self._current == at:
            self._current = (at + 1) % len(self._channels)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    def _raise(self, error: grpc.aio.AioRpcError) -> Never:
        details = error.details() or error.code().name
        if error.code() is grpc.StatusCode.OUT_OF_RANGE:
            if "compacted" in details:
                raise Compacted(0, 0) from None
            raise ValueError(details) from None
        if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
            raise ValueError(details) from None
        raise StoreUnavailable(f"etcd at {self.names}: {details}") from None
