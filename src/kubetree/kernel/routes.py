"""Routes and addresses of the network namespace that the process is in. Every function is idempotent and blocks for a moment.

`sink_routes` is where a range of virtual addresses leads that nothing must ever leave the machine for, but that local processes
must be able to connect to: the kernel looks for a route before it asks nftables for the real destination, so an unreachable route
would refuse them. The sink is a bridge without ports: a packet that no rule redirects ends there.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

_UNREACHABLE = 7
_SCOPE_HOST = 254
_OWN_PROTOCOL = 175
"""Marks our routes to other nodes; no routing daemon uses the number."""
_PRIORITY = 4096
"""The metric of unreachable ranges: any other route to the same range wins."""


def sink_routes(link: str, cidrs: Iterable[str], sources: Iterable[str] = ()) -> None:
    """Makes the sink `link` and leads `cidrs` there. Local processes connect from that of `sources` that is of the range's
    family; a source that is none of our own addresses is passed over."""
    own = {ipaddress.ip_address(a).version: a for a in sources if a in own_addresses()}
    with _netlink() as netlink:
        with _existing():
            netlink.link("add", ifname=link, kind="bridge")
        index = netlink.link_lookup(ifname=link)[0]
        netlink.link("set", index=index, state="up")
        for cidr in cidrs:
            version = ipaddress.ip_network(cidr).version
            options = ({"scope": "link"} if version == 4 else {}) | ({"prefsrc": own[version]} if version in own else {})
            netlink.route("replace", dst=cidr, oif=index, family=_family(cidr), **options)


def remove_link(link: str) -> None:
    """Takes a link away with its routes, there or not."""
    with _netlink() as netlink:
        for index in netlink.link_lookup(ifname=link):
            netlink.link("del", index=index)


def unreachable_routes(cidrs: Iterable[str]) -> None:
    """Makes `cidrs` unreachable but for the more specific routes to what exists in them."""
    with _netlink() as netlink:
        for cidr in cidrs:
            netlink.route("replace", dst=cidr, type=_UNREACHABLE, family=_family(cidr), priority=_PRIORITY)


def remove_unreachable_routes(cidrs: Iterable[str]) -> None:
    with _netlink() as netlink:
        for cidr in cidrs:
            with _missing():
                netlink.route("del", dst=cidr, type=_UNREACHABLE, family=_family(cidr), priority=_PRIORITY)


class RouteError(Exception):
    """The kernel refuses a route."""


def replace_route(destination: str, gateway: str) -> None:
    """A route that `own_routes` knows again. Raises RouteError when the gateway is on no link of ours."""
    with _netlink() as netlink:
        try:
            netlink.route("replace", dst=destination, gateway=gateway, proto=_OWN_PROTOCOL, family=_family(destination))
        except NetlinkError as error:
            raise RouteError(str(error)) from error


def remove_route(destination: str) -> None:
    with _netlink() as netlink, _missing():
        netlink.route("del", dst=destination, proto=_OWN_PROTOCOL, family=_family(destination))


def own_routes() -> list[tuple[str, str]]:
    """(destination, gateway) of the routes that `replace_route` made, in this process or another."""
    found = []
    with _netlink() as netlink:
        for family in (socket.AF_INET, socket.AF_INET6):
            for message in netlink.get_routes(family=family, proto=_OWN_PROTOCOL):
                destination, gateway = message.get_attr("RTA_DST"), message.get_attr("RTA_GATEWAY")
                if destination and gateway and message["proto"] == _OWN_PROTOCOL:
                    found.append((f"{destination}/{message['dst_len']}", gateway))
    return found


def local_addresses(addresses: Iterable[str]) -> None:
    """Makes `addresses` this machine's own, on the loopback link. Their scope keeps the kernel from choosing them as a source."""
    with _netlink() as netlink:
        index = netlink.link_lookup(ifname="lo")[0]
        netlink.link("set", index=index, state="up")
        for address in addresses:
            with _existing():
                netlink.addr("add", index=index, address=address, prefixlen=ipaddress.ip_address(address).max_prefixlen, scope=_SCOPE_HOST)


def remove_local_addresses(addresses: Iterable[str]) -> None:
    with _netlink() as netlink:
        index = netlink.link_lookup(ifname="lo")[0]
        for address in addresses:
            with _missing():
                netlink.addr("del", index=index, address=address, prefixlen=ipaddress.ip_address(address).max_prefixlen)


def own_addresses() -> list[str]:
    """All addresses of the namespace's links but loopback and link-local ones."""
    with _netlink() as netlink:
        found = [message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS") for message in netlink.get_addr()]
    parsed = [ipaddress.ip_address(address) for address in found if address]
    return [str(address) for address in parsed if not address.is_loopback and not address.is_link_local]


def link_mtu(address: str) -> int:
    """The MTU of the link that has `address`; 1500 when none has."""
    with _netlink() as netlink:
        for message in netlink.get_addr():
            if address in (message.get_attr("IFA_LOCAL"), message.get_attr("IFA_ADDRESS")):
                mtu: int = netlink.get_links(message["index"])[0].get_attr("IFLA_MTU")
                return min(mtu, 65535)
    return 1500


@contextmanager
def _netlink() -> Iterator[IPRoute]:
    with IPRoute() as netlink:
        yield netlink


@contextmanager
def _existing() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise


@contextmanager
def _missing() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code not in (errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV):
            raise


def _family(cidr: str) -> int:
    return socket.AF_INET if ipaddress.ip_network(cidr).version == 4 else socket.AF_INET6
