"""etcd's messages against protobuf's own classes, made from the field numbers of etcd's rpc.proto and kv.proto as they are published."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from kubetree.store.etcd import messages
from kubetree.store.protocol import Entry, StoreEvent, Written

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"int64": _Field.TYPE_INT64, "uint64": _Field.TYPE_UINT64, "bool": _Field.TYPE_BOOL, "bytes": _Field.TYPE_BYTES}

# `*` repeated, `|` member of a oneof. More fields than the engine knows: it has to pass over them.
_PROTO = {
    "Header": "cluster_id=1 uint64, member_id=2 uint64, revision=3 int64, raft_term=4 uint64",
    "KeyValue": "key=1 bytes, create_revision=2 int64, mod_revision=3 int64, version=4 int64, value=5 bytes, lease=6 int64",
    "Event": "type=1 int64, kv=2 KeyValue, prev_kv=3 KeyValue",
    "RangeRequest": "key=1 bytes, range_end=2 bytes, limit=3 int64, revision=4 int64, count_only=9 bool",
    "RangeResponse": "header=1 Header, kvs=2 *KeyValue, more=3 bool, count=4 int64",
    "PutRequest": "key=1 bytes, value=2 bytes, lease=3 int64",
    "PutResponse": "header=1 Header",
    "DeleteRequest": "key=1 bytes, range_end=2 bytes, prev_kv=3 bool",
    "DeleteResponse": "header=1 Header, deleted=2 int64, prev_kvs=3 *KeyValue",
    "RequestOp": "range=1 |RangeRequest, put=2 |PutRequest, delete=3 |DeleteRequest",
    "ResponseOp": "range=1 |RangeResponse, put=2 |PutResponse, delete=3 |DeleteResponse",
    "Compare": "result=1 int64, target=2 int64, key=3 bytes, mod_revision=6 |int64",
    "TxnRequest": "compare=1 *Compare, success=2 *RequestOp, failure=3 *RequestOp",
    "TxnResponse": "header=1 Header, succeeded=2 bool, responses=3 *ResponseOp",
    "WatchResponse": "header=1 Header, watch_id=2 int64, created=3 bool, canceled=4 bool, compact_revision=5 int64, "
    "cancel_reason=6 bytes, fragment=7 bool, events=11 *Event",
    "LeaseGrantResponse": "header=1 Header, ID=2 int64, TTL=3 int64",
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="test_etcd.proto", package="t", syntax="proto3")
    for name, text in _PROTO.items():
        message = file.message_type.add(name=name)
        for part in text.split(", "):
            label, kind = part.split(" ")
            field_name, number = label.split("=")
            repeated = _Field.LABEL_REPEATED if kind[0] == "*" else _Field.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=int(number), label=repeated)
            if kind[0] == "|":
                if not message.oneof_decl:
                    message.oneof_decl.add(name="choice")
                field.oneof_index = 0
            kind = kind.lstrip("*|")
            field.type = _SCALARS.get(kind, _Field.TYPE_MESSAGE)
            if kind not in _SCALARS:
                field.type_name = f".t.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"t.{name}")) for name in _PROTO}


P = _classes()
numbers = st.integers(0, 2**63 - 1)
keys = st.text(max_size=200)
values = st.binary(max_size=300)
headers = st.builds(lambda c, m, r, t: P["Header"](cluster_id=c, member_id=m, revision=r, raft_term=t), *[numbers] * 4)
kvs = st.builds(
    lambda k, c, m, n, v, lease: P["KeyValue"](key=k.encode(), create_revision=c, mod_revision=m, version=n, value=v, lease=lease),
    keys,
    numbers,
    numbers,
    numbers,
    values,
    numbers,
)


def entry(kv: Any) -> Entry:
    return Entry(kv.key.decode(), kv.value, kv.mod_revision, kv.create_revision)


@given(keys, values, numbers, numbers)
def test_transactions_are_read_as_meant(key: str, value: bytes, expected: int, lease: int) -> None:
    name = key.encode()
    put = P["TxnRequest"].FromString(messages.put_request(name, value, expected, lease))
    gone = P["TxnRequest"].FromString(messages.delete_request(name, expected))
    for request in (put, gone):
        (compare,) = request.compare
        assert (compare.result, compare.target, compare.key, compare.mod_revision) == (0, 2, name, expected)
        assert compare.WhichOneof("choice") == "mod_revision"
        assert [op.range.key for op in request.failure] == [name]
    assert [op.put for op in put.success] == [P["PutRequest"](key=name, value=value, lease=lease)]
    assert [op.delete for op in gone.success] == [P["DeleteRequest"](key=name, prev_kv=True)]


@given(keys, values, numbers, numbers, st.booleans())
def test_range_requests_are_read_as_meant(key: str, end: bytes, limit: int, revision: int, count_only: bool) -> None:
    found = messages.range_request(key.encode(), end, limit=limit, revision=revision, count_only=count_only)
    wanted = P["RangeRequest"](key=key.encode(), range_end=end, limit=limit, revision=revision, count_only=count_only)
    assert P["RangeRequest"].FromString(found) == wanted


@given(headers, st.lists(kvs, max_size=5), numbers)
def test_ranges(header: Any, found: list[Any], count: int) -> None:
    data = P["RangeResponse"](header=header, kvs=found, more=True, count=count).SerializeToString()
    assert messages.read_range(data) == messages.Range(header.revision, [entry(kv) for kv in found], count)


@given(headers, st.lists(kvs, max_size=1), st.sampled_from(("put", "delete", "range")))
def test_what_transactions_did(header: Any, found: list[Any], op: str) -> None:
    responses = {
        "put": P["ResponseOp"](put=P["PutResponse"](header=header)),
        "delete": P["ResponseOp"](delete=P["DeleteResponse"](header=header, deleted=len(found), prev_kvs=found)),
        "range": P["ResponseOp"](range=P["RangeResponse"](header=header, kvs=found, count=len(found))),
    }
    data = P["TxnResponse"](header=header, succeeded=op != "range", responses=[responses[op]]).SerializeToString()
    current = entry(found[0]) if found and op != "put" else None
    assert messages.read_txn(data) == Written(op != "range", header.revision, current)


@given(headers, st.lists(st.tuples(st.booleans(), kvs, st.none() | kvs), max_size=5), numbers)
def test_what_watches_tell(header: Any, changes: list[tuple[bool, Any, Any]], compacted: int) -> None:
    events = [P["Event"](type=int(deleted), kv=kv, prev_kv=previous) for deleted, kv, previous in changes]
    data = P["WatchResponse"](header=header, watch_id=7, created=True, compact_revision=compacted, events=events).SerializeToString()
    wanted = [
        StoreEvent(kv.mod_revision, kv.key.decode(), None)
        if deleted
        else StoreEvent(kv.mod_revision, kv.key.decode(), kv.value, kv.create_revision)
        for deleted, kv, _ in changes
    ]
    assert messages.read_watch(data) == messages.Watched(wanted, compacted, None)
    canceled = P["WatchResponse"](canceled=True, cancel_reason=b"no leader").SerializeToString()
    assert messages.read_watch(canceled).canceled == "no leader"


def test_leases() -> None:
    assert messages.read_lease(P["LeaseGrantResponse"](ID=2**62 + 5, TTL=60).SerializeToString()) == 2**62 + 5


@pytest.mark.parametrize("revision", [0, 1, 127, 128, 2**40])
def test_a_revision_without_ids(revision: int) -> None:
    data = P["RangeResponse"](header=P["Header"](revision=revision)).SerializeToString()
    assert messages.read_range(data).revision == revision
