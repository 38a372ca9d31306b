"""The `kubetree proxy` command: kube-proxy, with upstream's flags where it has the same option."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import os
import socket
import time

from kubetree.client import Client, load_kubeconfig
from kubetree.kernel.nftables import Nftables
from kubetree.kernel.routes import remove_link
from kubetree.kernel.sysctls import ensure, ensure_at_least
from kubetree.proxy.applier import removal_text
from kubetree.proxy.health import HealthCheckPorts, health_app, metrics_app, serve
from kubetree.proxy.metrics import Metrics
from kubetree.proxy.proxier import SINK, Proxier
from kubetree.proxy.table import Settings

log = logging.getLogger("kubetree.proxy")

FORWARDING = {4: {"net/ipv4/ip_forward": 1}, 6: {"net/ipv6/conf/all/forwarding": 1}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", default="", help="how to reach the API server")
    parser.add_argument("--hostname-override", default="", help="this node's name; the host's name unless given")
    parser.add_argument("--cluster-cidr", default="", help="the range of pods' addresses, or two, for both address families")
    parser.add_argument("--service-cidr", default="", help="the range of services' addresses: packets to unused ones are dropped")
    parser.add_argument(
        "--nodeport-addresses", default="", help="ranges of addresses that answer on NodePorts; the node's own unless given"
    )
    parser.add_argument(
        "--localhost-nodeports", action="store_true", help="answer on NodePorts of 127.0.0.1 too, with --nodeport-addresses=0.0.0.0/0"
    )
    parser.add_argument("--masquerade-all", action="store_true", help="masquerade all traffic to cluster IPs")
    parser.add_argument("--conntrack-max-per-core", type=int, default=32768, help="connections tracked for each core; 0 leaves the limit")
    parser.add_argument("--conntrack-min", type=int, default=131072, help="connections tracked at least, however few cores")
    parser.add_argument("--healthz-bind-address", default="0.0.0.0:10256", help="where /healthz answers; empty: nowhere")
    parser.add_argument("--metrics-bind-address", default="127.0.0.1:10249", help="where /metrics answers; empty: nowhere")
    parser.add_argument("--proxy-mode", default="nftables", choices=["nftables"], help="the only mode there is")
    parser.add_argument("--cleanup", action="store_true", help="take the tables and routes away and exit")


async def run(options: argparse.Namespace) -> None:
    """Runs until cancelled. Tables and routes stay, so that connections go on while the proxy restarts; --cleanup ends them."""
    if options.cleanup:
        await asyncio.to_thread(cleanup)
        return
    settings = Settings(
        cluster_cidrs=_ranges(options.cluster_cidr),
        service_cidrs=_ranges(options.service_cidr),
        masquerade_all=options.masquerade_all,
        node_ports_everywhere=_everywhere(options.nodeport_addresses),
        node_ports_on_loopback=options.localhost_nodeports,
    )
    _prepare_kernel(settings, options)
    node_port_ranges = (
        () if settings.node_ports_everywhere or options.nodeport_addresses == "primary" else _ranges(options.nodeport_addresses)
    )
    node_name = options.hostname_override or socket.gethostname().lower()
    metrics = Metrics()
    async with Client(load_kubeconfig(options.kubeconfig, user_agent="kube-proxy")) as client:
        proxier = Proxier(client, node_name, settings, node_port_ranges, metrics, time.time)
        ports = HealthCheckPorts(proxier, time.time)
        servers = []
        if options.healthz_bind_address:
            servers.append(await serve(health_app(proxier, time.time), *_address(options.healthz_bind_address, 10256)))
        if options.metrics_bind_address:
            servers.append(await serve(metrics_app(metrics.registry), *_address(options.metrics_bind_address, 10249)))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(proxier.run())
                tasks.create_task(ports.run())
        finally:
            for server in servers:
                await server.cleanup()


def cleanup() -> None:
    """Takes away everything that a proxy left in the kernel; nothing there is fine too."""
    Nftables().run(removal_text())
    remove_link(SINK)


def _prepare_kernel(settings: Settings, options: argparse.Namespace) -> None:
    versions = {ipaddress.ip_network(cidr).version for cidr in (*settings.cluster_cidrs, *settings.service_cidrs)} or {4}
    for version in sorted(versions):
        ensure(FORWARDING[version])
    if settings.node_ports_on_loopback:
        ensure({"net/ipv4/conf/all/route_localnet": 1})
    if options.conntrack_max_per_core:
        wanted = max(options.conntrack_min, options.conntrack_max_per_core * (os.cpu_count() or 1))
        if not ensure_at_least("net/netfilter/nf_conntrack_max", wanted):
            log.info("net.netfilter.nf_conntrack_max stays as it is: this network namespace cannot raise it")


def _ranges(text: str) -> tuple[str, ...]:
    """A comma-separated list of ranges. Raises ValueError that names the one that is none."""
    return tuple(str(ipaddress.ip_network(part.strip())) for part in text.split(",") if part.strip())


def _everywhere(text: str) -> bool:
    return any(part.strip().endswith("/0") for part in text.split(","))


def _address(text: str, default_port: int) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or text.endswith("]"):
        return text.strip("[]"), default_port
    return host.strip("[]"), int(port)
