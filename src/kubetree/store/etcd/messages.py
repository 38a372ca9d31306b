"""The messages of etcd's v3 API that the engine needs, by one table of field numbers: requests are written, answers read, by hand.

Only fields that are used are listed; what else an answer has is passed over. Writing a transaction so takes a third of what protobuf's classes
take, reading is on a par with them, and a value is copied once, out of the bytes that came. Enums travel as numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from kubetree.api.protobuf.wire import BYTES, VARINT, read_varint, varint
from kubetree.store.protocol import Entry, StoreEvent, Written

_PACKAGE = "etcdserverpb"

# Message: {field: (number, wire type)}
_FIELDS: dict[str, dict[str, tuple[int, int]]] = {
    "ResponseHeader": {"cluster_id": (1, VARINT), "member_id": (2, VARINT), "revision": (3, VARINT)},
    "KeyValue": {"key": (1, BYTES), "create_revision": (2, VARINT), "mod_revision": (3, VARINT), "value": (5, BYTES)},
    "Event": {"type": (1, VARINT), "kv": (2, BYTES)},
    "RangeRequest": {
        "key": (1, BYTES),
        "range_end": (2, BYTES),
        "limit": (3, VARINT),
        "revision": (4, VARINT),
        "count_only": (9, VARINT),
    },
    "RangeResponse": {"header": (1, BYTES), "kvs": (2, BYTES), "count": (4, VARINT)},
    "PutRequest": {"key": (1, BYTES), "value": (2, BYTES), "lease": (3, VARINT)},
    "DeleteRangeRequest": {"key": (1, BYTES), "prev_kv": (3, VARINT)},
    "DeleteRangeResponse": {"prev_kvs": (3, BYTES)},
    "RequestOp": {"request_range": (1, BYTES), "request_put": (2, BYTES), "request_delete_range": (3, BYTES)},
    "ResponseOp": {"response_range": (1, BYTES), "response_put": (2, BYTES), "response_delete_range": (3, BYTES)},
    "Compare": {"result": (1, VARINT), "target": (2, VARINT), "key": (3, BYTES), "mod_revision": (6, VARINT)},
    "TxnRequest": {"compare": (1, BYTES), "success": (2, BYTES), "failure": (3, BYTES)},
    "TxnResponse": {"header": (1, BYTES), "succeeded": (2, VARINT), "responses": (3, BYTES)},
    "CompactionRequest": {"revision": (1, VARINT)},
    "WatchCreateRequest": {"key": (1, BYTES), "range_end": (2, BYTES), "start_revision": (3, VARINT)},
    "WatchRequest": {"create_request": (1, BYTES)},
    "WatchResponse": {"canceled": (4, VARINT), "compact_revision": (5, VARINT), "cancel_reason": (6, BYTES), "events": (11, BYTES)},
    "StatusResponse": {"dbSize": (3, VARINT)},
    "LeaseGrantRequest": {"TTL": (1, VARINT)},
    "LeaseGrantResponse": {"ID": (2, VARINT)},
}
_TARGET_MOD = 2
"""Compare.target: the revision that wrote the key. Compare.result is 0, equal, which needs no byte."""
_DELETE = 1
"""Event.type."""

RANGE, TXN, COMPACT = (f"/{_PACKAGE}.KV/{name}" for name in ("Range", "Txn", "Compact"))
STATUS = f"/{_PACKAGE}.Maintenance/Status"
LEASE_GRANT, WATCH = f"/{_PACKAGE}.Lease/LeaseGrant", f"/{_PACKAGE}.Watch/Watch"


def _tag(message: str, name: str) -> int:
    number, wire_type = _FIELDS[message][name]
    return number << 3 | wire_type


class _Writer:
    """The fields of a message, by name."""

    def __init__(self, message: str) -> None:
        self._tags = {name: varint(_tag(message, name)) for name in _FIELDS[message]}

    def number(self, name: str, value: int) -> bytes:
        return self._tags[name] + varint(value) if value else b""

    def text(self, name: str, value: bytes) -> bytes:
        """Bytes, or a message; an empty message is there as well."""
        return self._tags[name] + varint(len(value)) + value


_range, _compare, _compaction, _lease = map(_Writer, ("RangeRequest", "Compare", "CompactionRequest", "LeaseGrantRequest"))
_watch, _watch_create = _Writer("WatchRequest"), _Writer("WatchCreateRequest")
_delete, _op, _txn = _Writer("DeleteRangeRequest"), _Writer("RequestOp"), _Writer("TxnRequest")
_PUT_KEY, _PUT_VALUE, _PUT_LEASE = (varint(_tag("PutRequest", name)) for name in ("key", "value", "lease"))
_OP_PUT_REQUEST, _OP_RANGE_REQUEST = (varint(_tag("RequestOp", name)) for name in ("request_put", "request_range"))
_COMPARE, _SUCCESS, _FAILURE = (varint(_tag("TxnRequest", name)) for name in ("compare", "success", "failure"))
_COMPARE_KEY = _compare.number("target", _TARGET_MOD) + varint(_tag("Compare", "key"))
_COMPARE_REVISION, _RANGE_KEY = varint(_tag("Compare", "mod_revision")), varint(_tag("RangeRequest", "key"))


def range_request(key: bytes, end: bytes = b"", *, limit: int = 0, revision: int = 0, count_only: bool = False) -> bytes:
    to = _range.text("range_end", end) if end else b""
    return (
        _range.text("key", key)
        + to
        + _range.number("limit", limit)
        + _range.number("revision", revision)
        + _range.number("count_only", count_only)
    )


def put_request(key: bytes, value: bytes, expected: int, lease: int) -> bytes:
    """A transaction: if the key stands at a revision it gets the value, else the answer says how it stands. Written out: each create and
    update is one."""
    name = varint(len(key)) + key
    before = _PUT_KEY + name + _PUT_VALUE + varint(len(value))
    after = _PUT_LEASE + varint(lease) if lease else b""
    size = len(before) + len(value) + len(after)
    op = _OP_PUT_REQUEST + varint(size)
    return b"".join((_unchanged(name, expected), _SUCCESS, varint(len(op) + size), op, before, value, after, _else_read(name)))


def delete_request(key: bytes, expected: int) -> bytes:
    """A transaction: if the key stands at a revision it goes, and the answer has what it was; else how it stands."""
    name = varint(len(key)) + key
    op = _op.text("request_delete_range", _delete.text("key", key) + _delete.number("prev_kv", 1))
    return _unchanged(name, expected) + _txn.text("success", op) + _else_read(name)


def _unchanged(name: bytes, expected: int) -> bytes:
    """`name` is the key with its length. The revision is a oneof: a zero must be said."""
    compare = _COMPARE_KEY + name + _COMPARE_REVISION + varint(expected)
    return _COMPARE + varint(len(compare)) + compare


def _else_read(name: bytes) -> bytes:
    read = _RANGE_KEY + name
    op = _OP_RANGE_REQUEST + varint(len(read)) + read
    return _FAILURE + varint(len(op)) + op


def compaction_request(revision: int) -> bytes:
    return _compaction.number("revision", revision)


def lease_request(ttl: int) -> bytes:
    """`ttl` in seconds."""
    return _lease.number("TTL", ttl)


def watch_request(after: int) -> bytes:
    """Every change of every key with a revision greater than `after`."""
    everything = _watch_create.text("key", b"\0") + _watch_create.text("range_end", b"\0")
    return _watch.text("create_request", everything + _watch_create.number("start_revision", after + 1))


class Range(NamedTuple):
    """`revision` is the store's; `total` counts all keys of the range, also beyond the limit."""

    revision: int
    entries: list[Entry]
    total: int


class Watched(NamedTuple):
    events: list[StoreEvent]
    compacted: int
    """Not 0: the watch started before this revision, which is the oldest there is, and is over."""
    canceled: str | None
    """Not None: why the server ended the watch."""


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(tag, value, where it ends) of each field: the value of a number, of all others where they start."""
    while at < end:
        tag = data[at]
        at += 1
        if tag >= 0x80:
            tag, at = read_varint(data, at - 1)
        wire_type = tag & 7
        if wire_type == VARINT:
            value, at = read_varint(data, at)
            yield tag, value, at
            continue
        size, at = read_varint(data, at) if wire_type == BYTES else ((8 if wire_type == 1 else 4), at)
        yield tag, at, at + size
        at += size


_KV_KEY, _KV_VALUE = _tag("KeyValue", "key"), _tag("KeyValue", "value")
_KV_CREATED, _KV_REVISION = _tag("KeyValue", "create_revision"), _tag("KeyValue", "mod_revision")


def _key_value(data: bytes, at: int, end: int) -> tuple[str, bytes, int, int]:
    """Key, value, revision, created. Written out, since lists and watches are made of these."""
    key, value, revision, created = "", b"", 0, 0
    while at < end:
        tag = data[at]
        number = data[at + 1]
        at += 2
        if number >= 0x80:
            number &= 0x7F
            shift = 7
            while (byte := data[at]) >= 0x80:
                number |= (byte & 0x7F) << shift
                shift += 7
                at += 1
            number |= byte << shift
            at += 1
        if tag == _KV_KEY:
            key = data[at : at + number].decode(errors="surrogateescape")
            at += number
        elif tag == _KV_REVISION:
            revision = number
        elif tag == _KV_CREATED:
            created = number
        elif tag == _KV_VALUE:
            value = data[at : at + number]
            at += number
        elif tag & 7 == BYTES:
            at += number
    return key, value, revision, created


def _entry(data: bytes, at: int, end: int) -> Entry:
    key, value, revision, created = _key_value(data, at, end)
    return Entry(key, value, revision, created)


_NUMBER = rb"[\x80-\xff]*[\0-\x7f]"
_REVISION = re.compile(
    rb"(?:%c%b)?(?:%c%b)?%c([\x80-\xff]*[\0-\x7f])"
    % (
        _tag("ResponseHeader", "cluster_id"),
        _NUMBER,
        _tag("ResponseHeader", "member_id"),
        _NUMBER,
        _tag("ResponseHeader", "revision"),
    ),
    re.DOTALL,
)
"""A header as etcd writes it; its ids have ten bytes each, which a loop would read one by one."""


def _revision(data: bytes, at: int, end: int) -> int:
    found = _REVISION.match(data, at, end)
    if found is not None:
        return read_varint(found[1], 0)[0]
    wanted = _tag("ResponseHeader", "revision")
    return next((value for tag, value, _ in _fields(data, at, end) if tag == wanted), 0)


_RANGE_HEADER, _RANGE_KVS, _RANGE_COUNT = (_tag("RangeResponse", name) for name in ("header", "kvs", "count"))


def read_range(data: bytes, at: int = 0, end: int | None = None) -> Range:
    revision, entries, total = 0, [], 0
    for tag, value, stop in _fields(data, at, len(data) if end is None else end):
        if tag == _RANGE_KVS:
            entries.append(_entry(data, value, stop))
        elif tag == _RANGE_HEADER:
            revision = _revision(data, value, stop)
        elif tag == _RANGE_COUNT:
            total = value
    return Range(revision, entries, total)


_SIZE = _tag("StatusResponse", "dbSize")


def read_size(data: bytes) -> int:
    """Of a StatusResponse: the bytes of the database."""
    return next((value for tag, value, _ in _fields(data, 0, len(data)) if tag == _SIZE), 0)


_TXN_HEADER, _TXN_SUCCEEDED, _TXN_RESPONSES = (_tag("TxnResponse", name) for name in ("header", "succeeded", "responses"))
_OP_RANGE, _OP_DELETE = _tag("ResponseOp", "response_range"), _tag("ResponseOp", "response_delete_range")
_OP_PUT = _tag("ResponseOp", "response_put")
_DELETED_KVS = _tag("DeleteRangeResponse", "prev_kvs")


def read_txn(data: bytes) -> Written:
    """`current` of a success is what a delete deleted, else how the key stands."""
    succeeded, revision, found = False, 0, None
    for tag, value, stop in _fields(data, 0, len(data)):
        if tag == _TXN_HEADER:
            revision = _revision(data, value, stop)
        elif tag == _TXN_SUCCEEDED:
            succeeded = bool(value)
        elif tag == _TXN_RESPONSES and data[value] != _OP_PUT:
            found = _found(data, value, stop)
    return Written(succeeded, revision, found)


def _found(data: bytes, at: int, end: int) -> Entry | None:
    for tag, start, stop in _fields(data, at, end):
        if tag == _OP_RANGE:
            return next(iter(read_range(data, start, stop).entries), None)
        if tag == _OP_DELETE:
            return next((_entry(data, kv, kv_end) for name, kv, kv_end in _fields(data, start, stop) if name == _DELETED_KVS), None)
    return None


_EVENTS, _CANCELED, _COMPACTED, _REASON = (
    _tag("WatchResponse", name) for name in ("events", "canceled", "compact_revision", "cancel_reason")
)
_EVENT_TYPE, _EVENT_KV = _tag("Event", "type"), _tag("Event", "kv")


def read_watch(data: bytes) -> Watched:
    events: list[StoreEvent] = []
    compacted, canceled, reason = 0, False, ""
    for tag, value, stop in _fields(data, 0, len(data)):
        if tag == _EVENTS:
            events.append(_event(data, value, stop))
        elif tag == _COMPACTED:
            compacted = value
        elif tag == _CANCELED:
            canceled = bool(value)
        elif tag == _REASON:
            reason = data[value:stop].decode(errors="replace")
    return Watched(events, compacted, reason if canceled else None)


def _event(data: bytes, at: int, end: int) -> StoreEvent:
    deleted, kv = False, ("", b"", 0, 0)
    for tag, value, stop in _fields(data, at, end):
        if tag == _EVENT_KV:
            kv = _key_value(data, value, stop)
        elif tag == _EVENT_TYPE:
            deleted = value == _DELETE
    key, body, revision, created = kv
    return StoreEvent(revision, key, None) if deleted else StoreEvent(revision, key, body, created)


_GRANTED = _tag("LeaseGrantResponse", "ID")


def read_lease(data: bytes) -> int:
    """The id."""
    return next((value for tag, value, _ in _fields(data, 0, len(data)) if tag == _GRANTED), 0)
