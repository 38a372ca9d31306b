"""The `kubetree network` command: one agent a node for the pod network, and the node's own cluster DNS server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import logging
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from kubetree.client import Client, load_kubeconfig
from kubetree.kernel.nftables import Nftables, NftablesError
from kubetree.kernel.routes import (
    RouteError,
    local_addresses,
    own_routes,
    remove_local_addresses,
    remove_route,
    remove_unreachable_routes,
    unreachable_routes,
)
from kubetree.kernel.sysctls import ensure
from kubetree.network import forward_policy
from kubetree.network.agent import Agent, Settings
from kubetree.network.cni import FILE_NAME
from kubetree.network.dns.answers import Zone
from kubetree.network.dns.forward import Forwarder, read_resolvers
from kubetree.network.dns.server import Server
from kubetree.network.dns.service import NAME, NAMESPACE, create_service, is_ours
from kubetree.network.dns.view import ClusterView
from kubetree.network.table import removal

log = logging.getLogger("kubetree.network")

RETRY = 5.0
"""Seconds before an address that was taken is tried again."""
FORWARDING = {4: {"net/ipv4/ip_forward": 1}, 6: {"net/ipv6/conf/all/forwarding": 1}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", default="", help="how to reach the API server")
    parser.add_argument("--hostname-override", default="", help="this node's name; the host's name unless given")
    parser.add_argument("--cluster-cidr", default="10.244.0.0/16", help="the range of pods' addresses, or two, for both address families")
    parser.add_argument("--service-cidr", default="", help="the range of services' addresses, whose reverse names are the cluster's alone")
    parser.add_argument("--cni-conf-dir", default="/etc/cni/net.d", help="where the container runtime looks for network configurations")
    parser.add_argument("--cni-state-dir", default="/run/kubetree/cni", help="where the addresses in use are kept")
    parser.add_argument("--cluster-dns", default="", help="the service address of the cluster's DNS, or two; empty: no DNS server")
    parser.add_argument("--cluster-domain", default="cluster.local", help="the domain of the cluster's names")
    parser.add_argument("--resolv-conf", default="/etc/resolv.conf", help="whom to ask for names outside the cluster")
    parser.add_argument("--cleanup", action="store_true", help="take tables, routes, addresses and the CNI configuration away and exit")


async def run(options: argparse.Namespace) -> None:
    """Runs until cancelled. What it made in the kernel stays, so that pods go on while it restarts; --cleanup ends it."""
    cidrs, addresses = _list(options.cluster_cidr), _list(options.cluster_dns)
    if options.cleanup:
        await asyncio.to_thread(cleanup, cidrs, addresses, Path(options.cni_conf_dir))
        return
    for version in sorted({ipaddress.ip_network(cidr).version for cidr in cidrs}):
        ensure(FORWARDING[version])
    await asyncio.to_thread(unreachable_routes, cidrs)
    settings = Settings(
        node_name=options.hostname_override or socket.gethostname().lower(),
        cluster_cidrs=tuple(cidrs),
        cni_conf_directory=Path(options.cni_conf_dir),
        cni_state_directory=Path(options.cni_state_dir),
    )
    async with Client(load_kubeconfig(options.kubeconfig, user_agent="kubetree-network")) as client:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Agent(client, settings).run())
            if addresses:
                ranges = tuple(ipaddress.ip_network(r) for r in (*cidrs, *_list(options.service_cidr)))
                zone = Zone(options.cluster_domain.strip(".").lower(), ranges)
                forwarder = Forwarder(read_resolvers(options.resolv_conf, addresses), time.monotonic)
                tasks.create_task(serve_dns(client, zone, forwarder, addresses))


def cleanup(cidrs: Sequence[str], addresses: Sequence[str], cni_conf_directory: Path) -> None:
    """Takes away everything that an agent left on the node; nothing there is fine too."""
    nft = Nftables()
    nft.run(removal())
    for version in (4, 6):
        with contextlib.suppress(NftablesError):
            nft.run(forward_policy.removals(nft.run(forward_policy.listing_command(version), json=True), version))
    for destination, _ in own_routes():
        remove_route(destination)
    remove_unreachable_routes(cidrs)
    remove_local_addresses(addresses)
    (cni_conf_directory / FILE_NAME).unlink(missing_ok=True)


async def serve_dns(client: Client, zone: Zone, forwarder: Forwarder, addresses: Sequence[str], port: int = 53) -> None:
    """Answers at the DNS service's addresses as long as that Service is ours, with what the API server knows by then."""
    changed = asyncio.Event()

    def forget(owner: tuple[str, str]) -> None:
        server.forget(owner)
        if owner == (NAMESPACE, NAME):
            changed.set()

    view = ClusterView(client, forget, lambda: server.clear())
    server = Server(view, zone, forwarder)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(view.run())
        tasks.create_task(create_service(client, list(addresses)))
        await view.synced()
        while True:
            changed.clear()
            if not is_ours(view.service(NAMESPACE, NAME)):
                log.warning("the service %s/%s is another DNS server's; not answering", NAMESPACE, NAME)
                await asyncio.to_thread(remove_local_addresses, addresses)
                await changed.wait()
                continue
            try:
                await asyncio.to_thread(local_addresses, addresses)
                await _answer_while_ours(server, forwarder, addresses, port, view, changed)
            except (OSError, RouteError) as error:
                log.error("cannot answer DNS at %s, trying again: %s; does another server have port %d?", ", ".join(addresses), error, port)
                await asyncio.sleep(RETRY)


async def _answer_while_ours(
    server: Server, forwarder: Forwarder, addresses: Sequence[str], port: int, view: ClusterView, changed: asyncio.Event
) -> None:
    """Listens until the Service is another's. Raises OSError when an address or port is taken."""
    async with contextlib.AsyncExitStack() as stack:
        for address in addresses:
            await stack.enter_async_context(server.open(address, port))
        log.info("answering DNS at %s", ", ".join(addresses))
        await forwarder.find_loops()
        while is_ours(view.service(NAMESPACE, NAME)):
            changed.clear()
            await changed.wait()


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
