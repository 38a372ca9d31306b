"""The kubelet's configuration, frozen at start: flags with upstream's names and defaults."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from kubetree.kubelet.dns import DnsSettings


@dataclass(frozen=True, slots=True)
class KubeletConfig:
    node_name: str
    root_dir: Path = Path("/var/lib/kubelet")
    pod_log_dir: Path = Path("/var/log/pods")
    runtime_endpoint: str = "unix:///run/containerd/containerd.sock"
    kubeconfig: str = ""
    node_ips: tuple[str, ...] = ()
    manifest_path: Path | None = None
    manifest_period: float = 1.0
    cgroup_root: str = "/"
    dns: DnsSettings = field(default_factory=DnsSettings)
    address: str = "0.0.0.0"
    port: int = 10250
    healthz_port: int = 0
    tls_cert_file: str = ""
    tls_key_file: str = ""
    cert_dir: Path = Path("/var/lib/kubelet/pki")
    client_ca_file: str = ""
    anonymous_auth: bool = False
    authorization_mode: str = "Webhook"
    max_pods: int = 110
    node_labels: tuple[tuple[str, str], ...] = ()
    register_taints: tuple[str, ...] = ()
    register_node: bool = True
    system_reserved: tuple[tuple[str, str], ...] = ()
    status_period: float = 10.0
    status_report_period: float = 300.0
    lease_duration: int = 40
    provider_id: str = ""
    pod_cidr: str = ""
    seccomp_root: str = ""
    seccomp_default: bool = False
    log_max_size: int = 10 << 20
    log_max_files: int = 5
    image_gc_high: int = 85
    image_gc_low: int = 80
    image_minimum_age: float = 120.0
    eviction: bool = True
    sandbox_image: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Upstream's flags, as far as the option exists here."""
    add = parser.add_argument
    add("--kubeconfig", default="", help="how to reach the API server; without it only static pods run")
    add("--hostname-override", default="", help="the node's name; this machine's host name unless given")
    add("--node-ip", default="", help="addresses of the node, comma-separated; found unless given")
    add("--root-dir", default="/var/lib/kubelet", help="where volumes and other files of pods are kept")
    add("--pod-log-dir", default="/var/log/pods", help="where containers' logs are kept")
    add("--pod-manifest-path", default="", help="a directory (or file) of static pods")
    add("--file-check-frequency", default="1s", help="how often static pods are looked at")
    add("--container-runtime-endpoint", default="unix:///run/containerd/containerd.sock", help="the CRI socket")
    add("--cgroup-root", default="/", help="the cgroup below which kubepods is made")
    add("--cluster-dns", default="", help="addresses of the cluster's DNS, comma-separated")
    add("--cluster-domain", default="cluster.local", help="the cluster's domain")
    add("--resolv-conf", default="/etc/resolv.conf", help="the node's resolver configuration")
    add("--address", default="0.0.0.0", help="where the kubelet's own port listens")
    add("--port", type=int, default=10250, help="the kubelet's own port")
    add("--healthz-port", type=int, default=0, help="a plain port on 127.0.0.1 for /healthz; 0 for none")
    add("--tls-cert-file", default="", help="the certificate of the kubelet's port; made unless given")
    add("--tls-private-key-file", default="")
    add("--cert-dir", default="", help="where a made certificate is kept; <root-dir>/pki unless given")
    add("--client-ca-file", default="", help="the authority of client certificates")
    add("--anonymous-auth", default="false", help="whether requests without credentials are let in as system:anonymous")
    add("--authorization-mode", default="Webhook", choices=("Webhook", "AlwaysAllow"))
    add("--max-pods", type=int, default=110)
    add("--node-labels", default="", help="labels of the node, a=b,c=d")
    add("--register-with-taints", default="", help="taints of the node, key=value:effect, comma-separated")
    add("--register-node", default="true")
    add("--system-reserved", default="", help="resources kept from pods, cpu=100m,memory=200Mi")
    add("--node-status-update-frequency", default="10s")
    add("--provider-id", default="")
    add("--pod-cidr", default="")
    add("--seccomp-default", default="false")
    add("--container-log-max-size", default="10Mi")
    add("--container-log-max-files", type=int, default=5)
    add("--image-gc-high-threshold", type=int, default=85)
    add("--image-gc-low-threshold", type=int, default=80)
    add("--pod-infra-container-image", default="", help="the pause image, which image collection leaves alone")
