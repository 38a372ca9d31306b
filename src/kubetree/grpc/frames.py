"""HTTP/2's frames (RFC 9113) as a client needs them: their numbers, how they are made, what is wrong with one. No state, no I/O."""

from __future__ import annotations

import struct
from collections.abc import Mapping

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
"""Flags."""
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
"""Settings."""
DEFAULT_WINDOW, DEFAULT_FRAME_SIZE, DEFAULT_TABLE_SIZE = 65_535, 16_384, 4096
LARGEST_WINDOW = LAST_STREAM = 2**31 - 1
HEADER_SIZE = 9

_HEADER = struct.Struct(">IBI")
"""A frame's header as three numbers: length and type in one, flags, stream."""
unpack_header = _HEADER.unpack_from
_SETTING = struct.Struct(">HI")
_NUMBER = struct.Struct(">I")


class ProtocolFault(Exception):
    """The server broke the protocol: `error` (HTTP/2's code) is what the connection ends with."""

    def __init__(self, error: int, text: str) -> None:
        super().__init__(text)
        self.error = error


def frame_header(size: int, kind: int, flags: int, stream: int) -> bytes:
    return _HEADER.pack(size << 8 | kind, flags, stream)


def settings(values: Mapping[int, int]) -> bytes:
    payload = b"".join(_SETTING.pack(name, value) for name, value in values.items())
    return frame_header(len(payload), SETTINGS, 0, 0) + payload


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """In order; a name may come twice."""
    return list(_SETTING.iter_unpack(payload))


SETTINGS_ACK = frame_header(0, SETTINGS, ACK, 0)


def ping(payload: bytes, flags: int = 0) -> bytes:
    return frame_header(8, PING, flags, 0) + payload


def window_update(stream: int, increment: int) -> bytes:
    return frame_header(4, WINDOW_UPDATE, 0, stream) + _NUMBER.pack(increment)


def reset(stream: int, error: int) -> bytes:
    return frame_header(4, RST_STREAM, 0, stream) + _NUMBER.pack(error)


def go_away(error: int, text: bytes) -> bytes:
    """Stream 0: nothing of the server's was processed, since a client without push accepts nothing."""
    return frame_header(8 + len(text), GOAWAY, 0, 0) + _NUMBER.pack(0) + _NUMBER.pack(error) + text


def number(payload: bytes, at: int = 0) -> int:
    """31 bits; the first one is reserved."""
    found: int = _NUMBER.unpack_from(payload, at)[0]
    return found & 0x7FFFFFFF


def error_code(payload: bytes, at: int = 0) -> int:
    found: int = _NUMBER.unpack_from(payload, at)[0]
    return found


def unpadded(payload: bytes, flags: int) -> bytes:
    """The content of a DATA or HEADERS frame. Raises ProtocolFault when there is more padding than frame."""
    start, end = 0, len(payload)
    if flags & PADDED:
        if not payload:
            raise ProtocolFault(0x6, "a padded frame without a length of its padding")
        start, end = 1, end - payload[0]
    if flags & WITH_PRIORITY:
        start += 5
    if start > end:
        raise ProtocolFault(0x1, "more padding than frame")
    return payload[start:end]
