"""What the controller manager is told at start, resolved once: frozen, with upstream's flag names and defaults."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kubetree.api.feature_gates import DEFAULT_FEATURES, Features, read_gates, resolve
from kubetree.api.times import parse_duration
from kubetree.controllers.certificates.authority_files import AuthorityFiles, PEMSource
from kubetree.controllers.certificates.requests import SIGNERS


@dataclass(frozen=True, slots=True)
class Options:
    """Times are seconds. `controllers` lists names to run: `*` for all, `-name` for not that one."""

    controllers: tuple[str, ...] = ("*",)
    root_ca: str = ""
    """PEM of the CA that verifies the API server; "" publishes none."""
    cluster_cidr: tuple[str, ...] = ()
    service_cluster_ip_range: tuple[str, ...] = ()
    allocate_node_cidrs: bool = False
    node_cidr_mask_size_ipv4: int = 24
    node_cidr_mask_size_ipv6: int = 64
    node_monitor_period: float = 5.0
    node_monitor_grace_period: float = 50.0
    node_startup_grace_period: float = 60.0
    node_eviction_rate: float = 0.1
    secondary_node_eviction_rate: float = 0.01
    large_cluster_size_threshold: int = 50
    unhealthy_zone_threshold: float = 0.55
    terminated_pod_gc_threshold: int = 12500
    signing: Mapping[str, PEMSource] = field(default_factory=dict)
    """Certificates and keys of the CAs that sign certificate requests, PEM, by the name of the signer; none: nothing is signed."""
    signing_duration: float = 8760 * 3600.0
    service_account_key: bytes = b""
    """What signs the tokens kept in secrets, PEM; empty: none are made."""
    resource_quota_sync_period: float = 300.0
    features: Features = DEFAULT_FEATURES
    use_service_account_credentials: bool = True
    """Each controller acts as its own service account: kubeadm's setting; the flag's default upstream is false."""

    def enabled(self, name: str) -> bool:
        if f"-{name}" in self.controllers:
            return False
        return name in self.controllers or "*" in self.controllers


_SIGNER_FLAGS = dict(zip(("kubelet-serving", "kubelet-client", "kube-apiserver-client", "legacy-unknown"), SIGNERS, strict=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kube-controller-manager's flags."""
    default = Options()
    parser.add_argument("--controllers", type=_list, default=default.controllers, metavar="NAMES", help="'*' all, 'x' x, '-x' not x")
    parser.add_argument("--kube-api-content-type", default="", help=argparse.SUPPRESS)  # requests are JSON, which every server takes
    parser.add_argument("--root-ca-file", type=Path, help="CA of the API server, published as kube-root-ca.crt")
    parser.add_argument("--cluster-cidr", type=_list, default=(), metavar="CIDRS", help="addresses of pods")
    parser.add_argument("--service-cluster-ip-range", type=_list, default=(), metavar="CIDRS", help="addresses of services")
    parser.add_argument("--allocate-node-cidrs", type=_bool, nargs="?", const=True, default=False)
    parser.add_argument("--node-cidr-mask-size", type=int, default=0)
    parser.add_argument("--node-cidr-mask-size-ipv4", type=int, default=default.node_cidr_mask_size_ipv4)
    parser.add_argument("--node-cidr-mask-size-ipv6", type=int, default=default.node_cidr_mask_size_ipv6)
    parser.add_argument("--node-monitor-period", type=parse_duration, default=default.node_monitor_period)
    parser.add_argument("--node-monitor-grace-period", type=parse_duration, default=default.node_monitor_grace_period)
    parser.add_argument("--node-startup-grace-period", type=parse_duration, default=default.node_startup_grace_period)
    parser.add_argument("--node-eviction-rate", type=float, default=default.node_eviction_rate)
    parser.add_argument("--secondary-node-eviction-rate", type=float, default=default.secondary_node_eviction_rate)
    parser.add_argument("--large-cluster-size-threshold", type=int, default=default.large_cluster_size_threshold)
    parser.add_argument("--unhealthy-zone-threshold", type=float, default=default.unhealthy_zone_threshold)
    parser.add_argument("--terminated-pod-gc-threshold", type=int, default=default.terminated_pod_gc_threshold)
    parser.add_argument("--cluster-signing-cert-file", type=Path)
    parser.add_argument("--cluster-signing-key-file", type=Path)
    for name in _SIGNER_FLAGS:
        parser.add_argument(f"--cluster-signing-{name}-cert-file", type=Path, help=f"for {_SIGNER_FLAGS[name]} alone")
        parser.add_argument(f"--cluster-signing-{name}-key-file", type=Path)
    parser.add_argument("--cluster-signing-duration", type=parse_duration, default=default.signing_duration)
    parser.add_argument("--resource-quota-sync-period", type=parse_duration, default=default.resource_quota_sync_period)
    parser.add_argument(
        "--service-account-private-key-file", type=Path, help="for legacy token secrets; new tokens come from the API server"
    )
    parser.add_argument("--feature-gates", type=_list, action="extend", default=[], metavar="NAME=true,...")
    parser.add_argument("--use-service-account-credentials", type=_bool, nargs="?", const=True, default=True)


def options_of(given: argparse.Namespace) -> Options:
    """Reads the files that flags name. Raises OSError when one is missing, ValueError for flags that exclude each other."""
    mask = given.node_cidr_mask_size
    return Options(
        controllers=given.controllers,
        root_ca=given.root_ca_file.read_text() if given.root_ca_file else "",
        cluster_cidr=given.cluster_cidr,
        service_cluster_ip_range=given.service_cluster_ip_range,
        allocate_node_cidrs=given.allocate_node_cidrs,
        node_cidr_mask_size_ipv4=mask or given.node_cidr_mask_size_ipv4,
        node_cidr_mask_size_ipv6=given.node_cidr_mask_size_ipv6,
        node_monitor_period=given.node_monitor_period,
        node_monitor_grace_period=given.node_monitor_grace_period,
        node_startup_grace_period=given.node_startup_grace_period,
        node_eviction_rate=given.node_eviction_rate,
        secondary_node_eviction_rate=given.secondary_node_eviction_rate,
        large_cluster_size_threshold=given.large_cluster_size_threshold,
        unhealthy_zone_threshold=given.unhealthy_zone_threshold,
        terminated_pod_gc_threshold=given.terminated_pod_gc_threshold,
        signing=_signing(given),
        signing_duration=given.cluster_signing_duration,
        service_account_key=given.service_account_private_key_file.read_bytes() if given.service_account_private_key_file else b"",
        resource_quota_sync_period=given.resource_quota_sync_period,
        features=_features(given.feature_gates),
        use_service_account_credentials=given.use_service_account_credentials,
    )


def _features(given: Sequence[str]) -> Features:
    """Raises ValueError for gates and values that cannot be."""
    values, faults = read_gates({name: text for name, _, text in (entry.partition("=") for entry in given)})
    if faults:
        raise ValueError(f"--feature-gates: {'; '.join(faults)}")
    return resolve(values)


def _signing(given: argparse.Namespace) -> dict[str, PEMSource]:
    """Raises ValueError for half a pair, and for one for all besides one for some; OSError."""

    def pair(flags: str) -> AuthorityFiles | None:
        certificate, key = getattr(given, f"{flags}_cert_file"), getattr(given, f"{flags}_key_file")
        if bool(certificate) != bool(key):
            raise ValueError(f"--{flags.replace('_', '-')}-cert-file and -key-file must be specified together")
        return AuthorityFiles(certificate, key) if certificate else None

    whole = pair("cluster_signing")
    found = {signer: pair(f"cluster_signing_{name.replace('-', '_')}") for name, signer in _SIGNER_FLAGS.items()}
    some: dict[str, PEMSource] = {signer: files for signer, files in found.items() if files is not None}
    if whole is not None and some:
        raise ValueError("cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags at the same time")
    return dict.fromkeys(SIGNERS, whole) if whole is not None else some


def _list(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"
