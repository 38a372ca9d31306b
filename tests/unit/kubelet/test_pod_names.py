"""Host names, /etc/hosts and resolv.conf."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.kubelet import dns, hosts
from kubetree.kubelet.dns import DnsSettings, Resolver

NODE = Resolver(("192.0.2.1",), ("example.org",), ("edns0",))
SETTINGS = DnsSettings(("10.96.0.10",), "cluster.local", NODE)
CLUSTER = Resolver(("10.96.0.10",), ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.org"), ("ndots:5",))


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, CLUSTER),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, NODE),
        ({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True}, CLUSTER),
        ({"dnsPolicy": "Default"}, NODE),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.9"], "options": [{"name": "ndots", "value": "2"}]}}, Resolver(("192.0.2.9",), (), ("ndots:2",))),
        ({"dnsPolicy": "Default", "dnsConfig": {"searches": ["more.org"], "options": [{"name": "edns0"}]}}, Resolver(("192.0.2.1",), ("example.org", "more.org"), ("edns0",))),
    ],
)  # fmt: skip
def test_policies(spec: dict[str, Any], expected: Resolver) -> None:
    assert dns.pod_resolver(pod(**spec), SETTINGS) == (expected, [])


def test_without_cluster_dns_the_node_is_asked_and_a_warning_made() -> None:
    resolver, warnings = dns.pod_resolver(pod(), DnsSettings((), "cluster.local", NODE))
    assert resolver == NODE and warnings[0][0] == "MissingClusterDNS"


def test_too_many_servers_are_left_out() -> None:
    resolver, warnings = dns.pod_resolver(pod(dnsConfig={"nameservers": ["192.0.2.2", "192.0.2.3", "192.0.2.4"]}), SETTINGS)
    assert len(resolver.servers) == 3 and warnings[0][0] == "DNSConfigForming"


def test_resolv_conf_is_read() -> None:
    text = "# no\nnameserver 192.0.2.1\nsearch a.org\nsearch b.org. c.org .\noptions ndots:2 rotate\noptions ndots:3\n"
    assert dns.parse_resolv_conf(text) == Resolver(("192.0.2.1",), ("b.org", "c.org"), ("ndots:3", "rotate"))


def test_host_names() -> None:
    assert hosts.host_name(pod(), "cluster.local") == ("p", "")
    assert hosts.host_name(pod(hostname="h", subdomain="s"), "cluster.local") == ("h", "s.ns.svc.cluster.local")
    assert hosts.kernel_host_name(pod(hostname="h", subdomain="s", setHostnameAsFQDN=True), "cluster.local") == "h.s.ns.svc.cluster.local"
    with pytest.raises(ValueError, match="is too long"):
        hosts.kernel_host_name(pod(hostname="h" * 50, subdomain="s", setHostnameAsFQDN=True), "cluster.local")
    long = pod()
    long["metadata"]["name"] = "a" * 62 + "-b"
    assert hosts.host_name(long, "cluster.local")[0] == "a" * 62


def test_hosts_file() -> None:
    made = hosts.hosts_file(pod(hostAliases=[{"ip": "192.0.2.7", "hostnames": ["x", "y"]}]), ["10.0.0.1"], "cluster.local", "node\n")
    assert made.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert made.endswith("10.0.0.1\tp\n\n# Entries added by HostAliases.\n192.0.2.7\tx\ty\n")
    own = hosts.hosts_file(pod(hostNetwork=True), ["10.0.0.1"], "cluster.local", "127.0.0.1 node\n")
    assert own == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 node\n"
