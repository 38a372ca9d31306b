"""kubelet as a process: flags to configuration, then the kubelet until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

from kubetree.api.quantities import parse_quantity
from kubetree.api.times import parse_duration
from kubetree.client import Client, load_kubeconfig
from kubetree.kubelet import config as configuration
from kubetree.kubelet import machine
from kubetree.kubelet.config import KubeletConfig
from kubetree.kubelet.dns import DnsSettings, Resolver, parse_resolv_conf
from kubetree.kubelet.kubelet import Kubelet

add_arguments = configuration.add_arguments


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, _, value in (part.partition("=") for part in _list(text)))


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _true(text: str) -> bool:
    return text.lower() in ("true", "1", "yes")


def configure(options: argparse.Namespace) -> KubeletConfig:
    """The configuration that the flags make. Reads the resolver configuration, nothing else."""
    resolv_conf = Path(options.resolv_conf) if options.resolv_conf else None
    resolver = parse_resolv_conf(resolv_conf.read_text()) if resolv_conf and resolv_conf.exists() else Resolver()
    root = Path(options.root_dir)
    return KubeletConfig(
        node_name=options.hostname_override or machine.default_node_name(),
        root_dir=root,
        pod_log_dir=Path(options.pod_log_dir),
        runtime_endpoint=options.container_runtime_endpoint,
        kubeconfig=options.kubeconfig,
        node_ips=_list(options.node_ip),
        manifest_path=Path(options.pod_manifest_path) if options.pod_manifest_path else None,
        manifest_period=parse_duration(options.file_check_frequency),
        cgroup_root=options.cgroup_root,
        dns=DnsSettings(_list(options.cluster_dns), options.cluster_domain, resolver),
        address=options.address,
        port=options.port,
        healthz_port=options.healthz_port,
        tls_cert_file=options.tls_cert_file,
        tls_key_file=options.tls_private_key_file,
        cert_dir=Path(options.cert_dir) if options.cert_dir else root / "pki",
        client_ca_file=options.client_ca_file,
        anonymous_auth=_true(options.anonymous_auth),
        authorization_mode=options.authorization_mode,
        max_pods=options.max_pods,
        node_labels=_pairs(options.node_labels),
        register_taints=_list(options.register_with_taints),
        register_node=_true(options.register_node),
        system_reserved=_pairs(options.system_reserved),
        status_period=parse_duration(options.node_status_update_frequency),
        provider_id=options.provider_id,
        pod_cidr=options.pod_cidr,
        seccomp_root=str(root / "seccomp"),
        seccomp_default=_true(options.seccomp_default),
        log_max_size=parse_quantity(options.container_log_max_size).value(),
        log_max_files=options.container_log_max_files,
        image_gc_high=options.image_gc_high_threshold,
        image_gc_low=options.image_gc_low_threshold,
        sandbox_image=options.pod_infra_container_image,
    )


async def run(options: argparse.Namespace) -> None:
    config = configure(options)
    if not config.kubeconfig:
        await Kubelet(config, None).run()
        return
    async with Client(load_kubeconfig(config.kubeconfig, user_agent="kubelet")) as client:
        await Kubelet(config, client).run()


def main() -> None:
    """`python -m kubetree.kubelet.main`: for running a kubelet by itself."""
    parser = argparse.ArgumentParser(prog="kubelet", description="runs pods on this node")
    add_arguments(parser)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
