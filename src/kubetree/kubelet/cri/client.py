"""An asyncio client of a CRI v1 runtime on a unix socket.

`await runtime.call("RunPodSandbox", config={...})`: keyword arguments are the request's fields, nested messages are dicts. The
channel reconnects by itself, so a runtime that was killed and came back is simply used again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import grpc

from kubetree.kubelet.cri.messages import METHODS, PACKAGE, build, request_type, response_type

DEFAULT_TIMEOUT = 120.0
"""Seconds; upstream's --runtime-request-timeout default."""

_EVENT_TABLE = """
Any: 1 type_url string, 2 value bytes
SubscribeRequest: 1 filters string*
Envelope: 2 namespace string, 3 topic string, 4 event Any
"""


class RuntimeFailure(Exception):
    """A CRI call that failed. `message` is the runtime's own, `code` the gRPC code's name such as NOT_FOUND or UNAVAILABLE."""

    def __init__(self, method: str, code: str, message: str) -> None:
        super().__init__(message)
        self.method, self.code, self.message = method, code, message

    def __str__(self) -> str:
        """As gRPC's Go errors print, which is what upstream's events show."""
        return f"rpc error: code = {_GO_CODES.get(self.code, self.code)} desc = {self.message}"

    @property
    def not_found(self) -> bool:
        return self.code == "NOT_FOUND"


_GO_CODES = {
    "UNKNOWN": "Unknown",
    "NOT_FOUND": "NotFound",
    "UNAVAILABLE": "Unavailable",
    "DEADLINE_EXCEEDED": "DeadlineExceeded",
    "ALREADY_EXISTS": "AlreadyExists",
    "INVALID_ARGUMENT": "InvalidArgument",
    "INTERNAL": "Internal",
    "FAILED_PRECONDITION": "FailedPrecondition",
    "PERMISSION_DENIED": "PermissionDenied",
    "RESOURCE_EXHAUSTED": "ResourceExhausted",
    "CANCELLED": "Canceled",
    "UNIMPLEMENTED": "Unimplemented",
}


class RuntimeClient:
    """CRI over `endpoint`, which is `unix:///run/containerd/containerd.sock` or the bare path."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint if "://" in endpoint else f"unix://{endpoint}"
        options = [
            ("grpc.max_receive_message_length", 64 << 20),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.initial_reconnect_backoff_ms", 100),
            # containerd checks the :authority of a unix socket's client; gRPC would send the escaped path.
            ("grpc.default_authority", "localhost"),
        ]
        self._channel = grpc.aio.insecure_channel(self.endpoint, options=options)
        self._methods = {
            method: self._channel.unary_unary(
                f"/{PACKAGE}.{service}/{method}",
                request_serializer=request_type(method).SerializeToString,
                response_deserializer=response_type(method).FromString,
            )
            for method, service in METHODS.items()
            if method != "GetContainerEvents"
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._channel.close(None)

    async def call(self, method: str, *, rpc_timeout: float | None = DEFAULT_TIMEOUT, **fields: Any) -> Any:
        """One unary call; answers the response message. Raises RuntimeFailure."""
        request = request_type(method)(**fields)
        try:
            return await self._methods[method](request, timeout=rpc_timeout)
        except grpc.aio.AioRpcError as error:
            raise RuntimeFailure(method, error.code().name, error.details() or "") from error

    async def container_events(self) -> AsyncIterator[None]:
        """Yields whenever the runtime says that some container or sandbox changed; ends when the runtime has no such stream.

        containerd's own event stream is tried first: it is there in every version (CRI's GetContainerEvents only from 1.7 on) and
        tells of exits at once. What changed is found by relisting, so the content does not matter.
        """
        messages = build(_EVENT_TABLE, "containerd.services.events.v1", "kubetree/containerd_events.proto")
        streams = (
            (
                "/containerd.services.events.v1.Events/Subscribe",
                messages["SubscribeRequest"](filters=['topic=="/tasks/exit"', 'topic=="/tasks/delete"', 'topic=="/tasks/oom"']),
                messages["Envelope"],
            ),
            (f"/{PACKAGE}.RuntimeService/GetContainerEvents", request_type("GetContainerEvents")(), response_type("GetContainerEvents")),
        )
        for path, request, response in streams:
            stream = self._channel.unary_stream(
                path, request_serializer=type(request).SerializeToString, response_deserializer=response.FromString
            )
            try:
                async for _ in stream(request):
                    yield
            except grpc.aio.AioRpcError as error:
                if error.code().name != "UNIMPLEMENTED":
                    raise RuntimeFailure("GetContainerEvents", error.code().name, error.details() or "") from error
