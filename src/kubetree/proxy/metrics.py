"""The proxy's metrics, under upstream's names."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = [0.0001 * 2**n for n in range(16)]


class Metrics:
    """A registry of its own for each proxy, so that several can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sync = Histogram(
            "kubeproxy_sync_proxy_rules_duration_seconds", "Writing of changes to the kernel", buckets=_BUCKETS, registry=self.registry
        )
        self.programming = Histogram(
            "kubeproxy_network_programming_duration_seconds",
            "From the change of a pod to the kernel",
            buckets=[0.001 * 2**n for n in range(18)],
            registry=self.registry,
        )
        self.full_syncs = Counter("kubeproxy_sync_full_proxy_rules", "Writings of the whole table", registry=self.registry)
        self.failures = Counter(
            "kubeproxy_sync_proxy_rules_nftables_sync_failures", "Writings that the kernel refused", registry=self.registry
        )
        self.last_sync = Gauge(
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds", "When changes were written last", registry=self.registry
        )
        self.stale_flows = Counter(
            "kubeproxy_conntrack_reconciler_deleted_entries", "UDP flows ended because their endpoint is gone", registry=self.registry
        )
