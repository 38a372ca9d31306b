"""A small gRPC client over HTTP/2 for asyncio: what the API server speaks to etcd. Knows nothing of etcd, nor of Kubernetes.

A `Channel` is one server and at most one connection to it; nothing is opened, no thread started, before the first call. Messages are bytes:
who calls encodes and decodes them. No proxies, no compression, no balancing between addresses: a caller with several servers has several
channels. docs/decisions/grpc.md says why not grpc.aio.
"""

from kubetree.grpc.calls import StreamCall
from kubetree.grpc.channel import TLS, Channel
from kubetree.grpc.connection import Keepalive
from kubetree.grpc.status import Code, RpcError

__all__ = ["TLS", "Channel", "Code", "Keepalive", "RpcError", "StreamCall"]
