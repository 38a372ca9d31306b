"""The certificates and kubeconfigs of a cluster on this machine: made once, renewed when they are about to end."""

from __future__ import annotations

from datetime import datetime, timedelta

import yaml

from kubetree.cluster import certificates, kubeconfig
from kubetree.cluster.certificates import ClusterCertificates, KeyPair
from kubetree.cluster.files import write_file
from kubetree.cluster.layout import Layout, Settings

NETWORK_USER = "system:kubetree:network"
"""Its role is in addons/network.yaml."""
RENEW_BEFORE = timedelta(days=60)


def ensure_certificates(layout: Layout, settings: Settings, now: datetime) -> ClusterCertificates:
    """What is in the data folder; what is missing or about to end is made. The authorities and the token key are kept."""
    hosts = [settings.node_ip, settings.name]
    try:
        found = ClusterCertificates.read(layout.pki)
    except FileNotFoundError:
        found = ClusterCertificates.create(hosts, now, service_ip=settings.kubernetes_ip, domain=settings.cluster_domain)
        found.write(layout.pki)
    if found.apiserver.expires - now < RENEW_BEFORE:
        found = found.renewed(hosts, now, service_ip=settings.kubernetes_ip, domain=settings.cluster_domain)
        found.write(layout.pki)
    _write_node(layout, settings, found, now)
    for name, pair in _users(found, now).items():
        config = kubeconfig.document(settings.name, settings.server, found.authority.certificate, pair.certificate, pair.key)
        write_file(layout.kubeconfig(name), yaml.safe_dump(config, sort_keys=False).encode())
    return found


def _users(found: ClusterCertificates, now: datetime) -> dict[str, KeyPair]:
    """Who has a kubeconfig, and with which certificate."""
    return {
        "admin": found.admin,
        "controller-manager": found.controller_manager,
        "scheduler": found.scheduler,
        "proxy": found.proxy,
        "network": found.authority.client(NETWORK_USER, now),
    }


def _write_node(layout: Layout, settings: Settings, found: ClusterCertificates, now: datetime) -> None:
    client = certificates.node_client(found.authority, settings.node_name, now)
    server = certificates.node_server(found.authority, settings.node_name, [settings.node_ip, "127.0.0.1"], now)
    write_file(layout.pki / "kubelet.crt", server.certificate, 0o644)
    write_file(layout.pki / "kubelet.key", server.key)
    config = kubeconfig.document(settings.name, settings.server, found.authority.certificate, client.certificate, client.key)
    write_file(layout.kubeconfig("kubelet"), yaml.safe_dump(config, sort_keys=False).encode())
