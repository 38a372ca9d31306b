"""Kubernetes' protobuf encoding, translated to and from JSON objects at the edge: nothing inside knows of it.

`messages.json` is the one table of facts: for each message the number, JSON name and type of each field. `decode` and `encode`
work on whole objects in upstream's envelope (`k8s\\0` and runtime.Unknown).
"""

from kubetree.api.protobuf.envelope import CONTENT_TYPE, ProtobufError, decode, encode, encode_event, encode_list, message, wrap

__all__ = ["CONTENT_TYPE", "ProtobufError", "decode", "encode", "encode_event", "encode_list", "message", "wrap"]
