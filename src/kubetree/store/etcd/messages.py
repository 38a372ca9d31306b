"""The messages of etcd's v3 API that the engine needs, built at import from a table of field numbers: no generated code, no .proto files.

Only fields that are used are listed; protobuf passes over the others.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "etcdserverpb"
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"int64": _Field.TYPE_INT64, "bool": _Field.TYPE_BOOL, "bytes": _Field.TYPE_BYTES, "string": _Field.TYPE_STRING}

# Message: {field: (number, type)}. `*` repeated, `|` member of the message's only oneof. Enums travel as int64.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "ResponseHeader": {"revision": (3, "int64")},
    "KeyValue": {
        "key": (1, "bytes"),
        "create_revision": (2, "int64"),
        "mod_revision": (3, "int64"),
        "value": (5, "bytes"),
    },
    "Event": {"type": (1, "int64"), "kv": (2, "KeyValue")},
    "RangeRequest": {
        "key": (1, "bytes"),
        "range_end": (2, "bytes"),
        "limit": (3, "int64"),
        "revision": (4, "int64"),
        "count_only": (9, "bool"),
    },
    "RangeResponse": {"header": (1, "ResponseHeader"), "kvs": (2, "*KeyValue"), "count": (4, "int64")},
    "PutRequest": {"key": (1, "bytes"), "value": (2, "bytes"), "lease": (3, "int64")},
    "PutResponse": {"header": (1, "ResponseHeader")},
    "DeleteRangeRequest": {"key": (1, "bytes"), "prev_kv": (3, "bool")},
    "DeleteRangeResponse": {"header": (1, "ResponseHeader"), "prev_kvs": (3, "*KeyValue")},
    "RequestOp": {
        "request_range": (1, "|RangeRequest"),
        "request_put": (2, "|PutRequest"),
        "request_delete_range": (3, "|DeleteRangeRequest"),
    },
    "ResponseOp": {
        "response_range": (1, "|RangeResponse"),
        "response_put": (2, "|PutResponse"),
        "response_delete_range": (3, "|DeleteRangeResponse"),
    },
    "Compare": {"result": (1, "int64"), "target": (2, "int64"), "key": (3, "bytes"), "mod_revision": (6, "|int64")},
    "TxnRequest": {"compare": (1, "*Compare"), "success": (2, "*RequestOp"), "failure": (3, "*RequestOp")},
    "TxnResponse": {"header": (1, "ResponseHeader"), "succeeded": (2, "bool"), "responses": (3, "*ResponseOp")},
    "CompactionRequest": {"revision": (1, "int64")},
    "CompactionResponse": {"header": (1, "ResponseHeader")},
    "WatchCreateRequest": {"key": (1, "bytes"), "range_end": (2, "bytes"), "start_revision": (3, "int64")},
    "WatchRequest": {"create_request": (1, "|WatchCreateRequest")},
    "WatchResponse": {
        "header": (1, "ResponseHeader"),
        "created": (3, "bool"),
        "canceled": (4, "bool"),
        "compact_revision": (5, "int64"),
        "cancel_reason": (6, "string"),
        "events": (11, "*Event"),
    },
    "LeaseGrantRequest": {"TTL": (1, "int64"), "ID": (2, "int64")},
    "LeaseGrantResponse": {"header": (1, "ResponseHeader"), "ID": (2, "int64"), "TTL": (3, "int64")},
}

EQUAL, TARGET_MOD = 0, 2
"""Compare.result and Compare.target: mod_revision equals."""
PUT, DELETE = 0, 1
"""Event.type."""

# Method: (service and name, request, response)
_METHODS = {
    "range": ("KV/Range", "RangeRequest", "RangeResponse"),
    "txn": ("KV/Txn", "TxnRequest", "TxnResponse"),
    "compact": ("KV/Compact", "CompactionRequest", "CompactionResponse"),
    "lease_grant": ("Lease/LeaseGrant", "LeaseGrantRequest", "LeaseGrantResponse"),
    "watch": ("Watch/Watch", "WatchRequest", "WatchResponse"),
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="kubetree/etcd.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, label=label)
            if kind.startswith("|"):
                if not message.oneof_decl:
                    message.oneof_decl.add(name="choice")
                field.oneof_index = 0
            kind = kind.lstrip("*|")
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
            else:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    return file


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


_all = _classes()
RangeRequest, TxnRequest, Compare, RequestOp = _all["RangeRequest"], _all["TxnRequest"], _all["Compare"], _all["RequestOp"]
PutRequest, DeleteRangeRequest = _all["PutRequest"], _all["DeleteRangeRequest"]
CompactionRequest, LeaseGrantRequest = _all["CompactionRequest"], _all["LeaseGrantRequest"]
WatchRequest, WatchCreateRequest = _all["WatchRequest"], _all["WatchCreateRequest"]


def callables(channel: Any) -> dict[str, Any]:
    """The methods of the API on a grpc.aio channel, by the names of this module's table."""
    found = {}
    for name, (path, request, response) in _METHODS.items():
        make = channel.stream_stream if name == "watch" else channel.unary_unary
        found[name] = make(
            f"/{_PACKAGE}.{path}",
            request_serializer=_all[request].SerializeToString,
            response_deserializer=_all[response].FromString,
        )
    return found
