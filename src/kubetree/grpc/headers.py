"""Header blocks (HPACK, RFC 7541) both ways, as a client of few methods sees them: nearly all are equal to one that was there before.

A block changes no table when it adds nothing to one. So what was made, or read, is remembered by what it was made of until a table changes.
"""

from __future__ import annotations

from dataclasses import dataclass

from hpack import Decoder, HPACKError

from kubetree.grpc.frames import DEFAULT_TABLE_SIZE, ProtocolFault
from kubetree.grpc.status import COMPRESSION_ERROR, Code, RpcError, of_http, of_trailers

MAX_LIST_SIZE = 65_536
"""Bytes of one list of headers, as HPACK counts them; a grpc-message may be long."""
Fields = tuple[tuple[bytes, bytes], ...]
_MOST_REMEMBERED = 64
_ENTRY_OVERHEAD, _STATIC_ENTRIES = 32, 61
_STATIC: dict[tuple[bytes, bytes], int] = {(b":method", b"POST"): 3, (b":scheme", b"http"): 6, (b":scheme", b"https"): 7}
_STATIC_NAMES = {b":authority": 1, b":path": 4, b"authorization": 23, b"content-type": 31, b"user-agent": 58}


class HeaderEncoder:
    """Fields go into the server's table once and are one byte from then on. Nothing is ever evicted: what has no room stays literal."""

    def __init__(self) -> None:
        self._size, self._used = DEFAULT_TABLE_SIZE, 0
        self._added: dict[tuple[bytes, bytes], int] = {}
        self._blocks: dict[Fields, bytes] = {}
        self._resized = b""

    def limit(self, size: int) -> None:
        """The server's SETTINGS_HEADER_TABLE_SIZE. A table that has outgrown it is emptied and not used again."""
        if size >= self._size:
            return
        if self._used > size:
            self._added, self._used, size = {}, 0, 0
        self._size, self._resized = size, _integer(size, 0x20, 5)
        self._blocks.clear()

    def block(self, fields: Fields) -> bytes:
        """To be sent in the order of the calls: names are lower case, pseudo headers come first."""
        known = self._blocks.get(fields)
        if known is not None:
            return known
        used, resized, self._resized = self._used, self._resized, b""
        block = resized + b"".join([self._field(field) for field in fields])
        if self._used != used or resized or len(self._blocks) >= _MOST_REMEMBERED:
            self._blocks.clear()
        else:
            self._blocks[fields] = block
        return block

    def _field(self, field: tuple[bytes, bytes]) -> bytes:
        name, value = field
        index = _STATIC.get(field)
        if index is None and field in self._added:
            index = _STATIC_ENTRIES + len(self._added) - self._added[field]
        if index is not None:
            return _integer(index, 0x80, 7)
        size = len(name) + len(value) + _ENTRY_OVERHEAD
        named = _STATIC_NAMES.get(name, 0)
        if self._used + size <= self._size:
            self._used += size
            self._added[field] = len(self._added)
            start = _integer(named, 0x40, 6)
        else:
            start = _integer(named, 0x00, 4)
        return start + (b"" if named else _string(name)) + _string(value)


@dataclass(frozen=True, slots=True)
class Head:
    """What matters of a list of headers or trailers. `status` is HTTP's, `grpc_status` None where there is none."""

    status: str
    content_type: str
    grpc_status: bytes | None
    grpc_message: bytes

    @property
    def opens(self) -> bool:
        """A gRPC answer begins with it."""
        return self.status == "200" and self.content_type.startswith("application/grpc")

    @property
    def interim(self) -> bool:
        return self.status.startswith("1")

    def failure(self, *, trailers: bool) -> RpcError | None:
        """What a call has come to that ends with this; `trailers` when an answer had begun. None for OK."""
        if self.grpc_status is not None:
            return of_trailers(self.grpc_status, self.grpc_message)
        if trailers:
            return RpcError(Code.UNKNOWN, "the server ended the call without a status")
        return of_http(self.status, self.content_type)


class HeaderDecoder:
    def __init__(self) -> None:
        self._decoder = Decoder(MAX_LIST_SIZE)
        self._heads: dict[bytes, Head] = {}

    def head(self, block: bytes) -> Head:
        """Must be given every block of the connection in order. Raises ProtocolFault."""
        known = self._heads.get(block)
        if known is not None:
            return known
        try:
            found = dict(self._decoder.decode(block, raw=True))
        except (HPACKError, ValueError) as error:
            raise ProtocolFault(COMPRESSION_ERROR, f"a header block cannot be read: {error}") from None
        status, content_type = found.get(b":status", b"").decode("latin-1"), found.get(b"content-type", b"").decode("latin-1")
        head = Head(status, content_type, found.get(b"grpc-status"), found.get(b"grpc-message", b""))
        if not _only_indexes(block) or len(self._heads) >= _MOST_REMEMBERED:
            self._heads.clear()
        else:
            self._heads[block] = head
        return head


def _only_indexes(block: bytes) -> bool:
    """Whether each byte is a whole indexed field: such a block changes no table, and means the same until another one does."""
    return bool(block) and min(block) >= 0x80 and max(block) < 0xFF


def _integer(value: int, flags: int, bits: int) -> bytes:
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((flags | value,))
    out = bytearray((flags | limit,))
    value -= limit
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _string(text: bytes) -> bytes:
    """Without Huffman's code: it is sent once."""
    return _integer(len(text), 0x00, 7) + text
