"""The etcd engine: the v3 API over gRPC, for clusters whose control plane is more than one machine."""

from kubetree.store.etcd.store import EtcdStore

__all__ = ["EtcdStore"]
