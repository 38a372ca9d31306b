"""Routes and addresses of the network namespace that the process is in. Every function is idempotent and blocks for a moment.

`sink_routes` is where a range of virtual addresses leads that nothing must ever leave the machine for, but that local processes
must be able to connect to: the kernel looks for a route before it asks nftables for the real destination, so an unreachable route
would refuse them. The sink is a bridge without ports: a packet that no rule redirects ends there.

Asks ip(8), a few times in a process's life, instead of keeping a netlink library's 9 MB in every one.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterable, Sequence
from typing import Any

_OWN_PROTOCOL = "175"
"""Marks our routes to other nodes; no routing daemon uses the number."""
_PRIORITY = "4096"
"""The metric of unreachable ranges: any other route to the same range wins."""
_THERE = "File exists"
_GONE = ("No such process", "Cannot assign requested address", "Address not found", "Cannot find device", "No such file or directory")


class RouteError(Exception):
    """The kernel refuses a route, an address or a link. The message is its reason and the command."""


def sink_routes(link: str, cidrs: Iterable[str], sources: Iterable[str] = ()) -> None:
    """Makes the sink `link` and leads `cidrs` there. Local processes connect from that of `sources` that is of the range's
    family; a source that is none of our own addresses is passed over. Raises RouteError."""
    present = own_addresses()
    own = {ipaddress.ip_address(a).version: a for a in sources if a in present}
    _ip("link", "add", link, "type", "bridge", unless=(_THERE,))
    _ip("link", "set", link, "up")
    for cidr in cidrs:
        version = ipaddress.ip_network(cidr).version
        scope = ["scope", "link"] if version == 4 else []
        source = ["src", own[version]] if version in own else []
        _ip(f"-{version}", "route", "replace", cidr, "dev", link, "proto", "static", *scope, *source)


def remove_link(link: str) -> None:
    """Takes a link away with its routes, there or not."""
    _ip("link", "del", link, unless=_GONE)


def unreachable_routes(cidrs: Iterable[str]) -> None:
    """Makes `cidrs` unreachable but for the more specific routes to what exists in them."""
    for cidr in cidrs:
        _ip(_family(cidr), "route", "replace", "unreachable", cidr, "proto", "static", "metric", _PRIORITY)


def remove_unreachable_routes(cidrs: Iterable[str]) -> None:
    for cidr in cidrs:
        _ip(_family(cidr), "route", "del", "unreachable", cidr, "proto", "static", "metric", _PRIORITY, unless=_GONE)


def replace_route(destination: str, gateway: str) -> None:
    """A route that `own_routes` knows again. Raises RouteError when the gateway is on no link of ours."""
    _ip(_family(destination), "route", "replace", destination, "via", gateway, "proto", _OWN_PROTOCOL)


def remove_route(destination: str) -> None:
    _ip(_family(destination), "route", "del", destination, "proto", _OWN_PROTOCOL, unless=_GONE)


def own_routes() -> list[tuple[str, str]]:
    """(destination, gateway) of the routes that `replace_route` made, in this process or another."""
    found = []
    for family in ("-4", "-6"):
        for route in _listed(family, "route", "show", "proto", _OWN_PROTOCOL):
            if "gateway" in route:
                found.append((str(ipaddress.ip_network(route["dst"])), route["gateway"]))
    return found


def local_addresses(addresses: Iterable[str]) -> None:
    """Makes `addresses` this machine's own, on the loopback link. Their scope keeps the kernel from choosing them as a source."""
    _ip("link", "set", "lo", "up")
    for address in addresses:
        _ip("addr", "replace", _single(address), "dev", "lo", "scope", "host")


def remove_local_addresses(addresses: Iterable[str]) -> None:
    for address in addresses:
        _ip("addr", "del", _single(address), "dev", "lo", unless=_GONE)


def own_addresses() -> list[str]:
    """All addresses of the namespace's links but loopback and link-local ones."""
    found = [ipaddress.ip_address(info["local"]) for link in _listed("addr") for info in link.get("addr_info", ()) if "local" in info]
    return [str(address) for address in found if not address.is_loopback and not address.is_link_local]


def link_of(address: str) -> str:
    """The link that leads to `address`; "" when nothing does."""
    found = _listed("route", "get", address, unless=("unreachable", "No route to host"))
    return found[0].get("dev", "") if found else ""


def link_mtu(address: str) -> int:
    """The MTU of the link that has `address`; 1500 when none has."""
    for link in _listed("addr"):
        if any(info.get("local") == address for info in link.get("addr_info", ())):
            return min(int(link["mtu"]), 65535)
    return 1500


def _ip(*arguments: str, unless: Sequence[str] = ()) -> str:
    """Runs ip(8). Raises RouteError, unless the reason is one of `unless`."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode and not any(reason.lower() in done.stderr.lower() for reason in unless):
        raise RouteError(f"{done.stderr.strip()} (ip {' '.join(arguments)})")
    return done.stdout


def _listed(*arguments: str, unless: Sequence[str] = ()) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_ip("-json", *arguments, unless=unless) or "[]")
    return [entry for entry in found if entry]


def _family(cidr: str) -> str:
    return f"-{ipaddress.ip_network(cidr).version}"


def _single(address: str) -> str:
    return f"{address}/{ipaddress.ip_address(address).max_prefixlen}"
