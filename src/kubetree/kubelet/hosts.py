"""A pod's host name and its /etc/hosts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]

HEADER = "# Kubernetes-managed hosts file.\n"
HEADER_HOST_NETWORK = "# Kubernetes-managed hosts file (host network).\n"
_LOCAL = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)
_MAX_HOSTNAME = 63


def host_name(pod: Object, cluster_domain: str) -> tuple[str, str]:
    """The pod's host name, and the domain that its subdomain gives it or ''."""
    spec, metadata = pod["spec"], pod["metadata"]
    if spec.get("hostnameOverride") is not None:
        return _truncated(spec["hostnameOverride"]), ""
    domain = f"{spec['subdomain']}.{metadata['namespace']}.svc.{cluster_domain}" if spec.get("subdomain") else ""
    return _truncated(spec.get("hostname") or metadata["name"]), domain


def kernel_host_name(pod: Object, cluster_domain: str) -> str:
    """What `hostname` prints inside: the full name where setHostnameAsFQDN asks for it. Raises ValueError when that is too long."""
    name, domain = host_name(pod, cluster_domain)
    if not (domain and pod["spec"].get("setHostnameAsFQDN")):
        return name
    full = f"{name}.{domain}"
    if len(full) > 64:
        raise ValueError(f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long ({len(full)} characters)")
    return full


def _truncated(name: str) -> str:
    return name if len(name) <= _MAX_HOSTNAME else name[:_MAX_HOSTNAME].rstrip("-.")


def hosts_file(pod: Object, ips: Sequence[str], cluster_domain: str, node_hosts: str) -> str:
    """The content of /etc/hosts; `node_hosts` is the node's own file, which a pod on the host's network gets instead."""
    aliases = pod["spec"].get("hostAliases") or ()
    extra = "".join(f"{alias['ip']}\t{chr(9).join(alias.get('hostnames') or ())}\n" for alias in aliases)
    if extra:
        extra = f"\n# Entries added by HostAliases.\n{extra}"
    if pod["spec"].get("hostNetwork"):
        return HEADER_HOST_NETWORK + node_hosts + extra
    name, domain = host_name(pod, cluster_domain)
    names = f"{name}.{domain}\t{name}" if domain else name
    return HEADER + _LOCAL + "".join(f"{ip}\t{names}\n" for ip in ips) + extra
