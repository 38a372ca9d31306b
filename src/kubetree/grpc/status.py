"""How a call ended: gRPC's codes, the error that carries one, and what HTTP/2 says when there is none.

Follows grpc's doc/statuscodes.md, http-grpc-status-mapping.md and PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

import math
import re
from enum import IntEnum


class Code(IntEnum):
    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @property
    def go_name(self) -> str:
        """As Go's grpc spells it: NotFound, Canceled."""
        return {Code.OK: "OK", Code.CANCELLED: "Canceled"}.get(self) or self.name.title().replace("_", "")


class RpcError(Exception):
    """A call that did not end with OK.

    Prints as Go's errors do, which is what users of upstream know. `unprocessed`: the server cannot have acted on it (it was never sent whole, or refused), so it may be tried again whatever it was.
    """

    def __init__(self, code: Code, details: str, *, unprocessed: bool = False) -> None:
        super().__init__(f"rpc error: code = {code.go_name} desc = {details}")
        self.code, self.details, self.unprocessed = code, details, unprocessed


NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR = 0x0, 0x1, 0x2, 0x3, 0x6
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY = 0x7, 0x8, 0x9, 0xB, 0xC
"""HTTP/2's error codes, as far as they are told apart here."""

_OF_RESET = {
    REFUSED_STREAM: Code.UNAVAILABLE,
    CANCEL: Code.CANCELLED,
    ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
    INADEQUATE_SECURITY: Code.PERMISSION_DENIED,
}
_OF_HTTP = {
    "400": Code.INTERNAL,
    "401": Code.UNAUTHENTICATED,
    "403": Code.PERMISSION_DENIED,
    "404": Code.UNIMPLEMENTED,
    "429": Code.UNAVAILABLE,
    "502": Code.UNAVAILABLE,
    "503": Code.UNAVAILABLE,
    "504": Code.UNAVAILABLE,
}
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")


def of_reset(error: int) -> RpcError:
    """What a stream that the server reset with this HTTP/2 error has come to."""
    code = _OF_RESET.get(error, Code.INTERNAL)
    return RpcError(code, f"the server reset the stream with error {error:#x}", unprocessed=error == REFUSED_STREAM)


def of_http(status: str, content_type: str) -> RpcError:
    """An answer without a gRPC status: something that is no gRPC server has answered."""
    return RpcError(_OF_HTTP.get(status, Code.UNKNOWN), f"no gRPC answer: HTTP status {status or '(none)'}, content type {content_type!r}")


def of_trailers(status: bytes, message: bytes) -> RpcError | None:
    """`status` and `message` are the values of grpc-status and grpc-message. None for OK."""
    try:
        code = Code(int(status))
    except ValueError:
        code = Code.UNKNOWN
    return RpcError(code, percent_decoded(message)) if code else None


def percent_decoded(message: bytes) -> str:
    """As Go's grpc does: what is no escape stands for itself."""
    return _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), message).decode(errors="replace")


def timeout_text(seconds: float) -> str:
    """The value of grpc-timeout, which has eight digits at most: milliseconds, of long times seconds, rounded up."""
    milliseconds = max(1, math.ceil(seconds * 1000))
    return f"{milliseconds}m" if milliseconds < 10**8 else f"{min(math.ceil(seconds), 10**8 - 1)}S"
