"""What a cluster changes on the machine itself before any process starts: a bridge for node addresses, routes, sysctls.

The cluster's ranges get an unreachable route first of all: an address that no rule answers for goes nowhere, never to the
machine's default gateway.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from pathlib import Path

from kubetree.cluster.layout import BRIDGE, Layout, Settings

UNREACHABLE_METRIC = 4278198272
"""Worse than any route that means an address."""
_IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_CHANGED = {"ip_forward": _IP_FORWARD, "route_localnet": Path("/proc/sys/net/ipv4/conf/all/route_localnet")}
"""The settings that a cluster changes, here or in a component, by the name that their former value is kept under."""


class MachineError(Exception):
    """The machine cannot be made ready; the message says why and what to do."""


def ip(*arguments: str, check: bool = True) -> str:
    """Runs iproute2. Raises MachineError with its words."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise MachineError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def overlapping_routes(routes: list[dict[str, object]], ranges: list[str]) -> list[str]:
    """Routes of the machine's, none of ours, that lie within one of the ranges: `10.96.0.0/24 dev tun0`."""
    found = []
    for route in routes:
        destination = str(route.get("dst", "default"))
        if destination == "default" or route.get("dev") == BRIDGE or route.get("type") == "unreachable":
            continue
        network = ipaddress.ip_network(destination, strict=False)
        if any(network.overlaps(ipaddress.ip_network(each)) for each in ranges if ipaddress.ip_network(each).version == network.version):
            found.append(f"{destination} dev {route.get('dev', '?')}")
    return found


def prepare(layout: Layout, settings: Settings) -> None:
    """Makes routes, the bridge and forwarding. Doing it again changes nothing. Raises MachineError."""
    ranges = [settings.cluster_cidr, settings.service_cidr]
    existing = json.loads(ip("-json", "route", "show", "table", "main") or "[]")
    if not _bridge_exists() and (taken := overlapping_routes(existing, [*ranges, settings.node_network])):
        raise MachineError(f"this machine already routes {', '.join(taken)}; give the cluster other ranges (see kubetree up --help)")
    for each in ranges:
        ip("route", "replace", "unreachable", each, "metric", str(UNREACHABLE_METRIC))
    if not _bridge_exists():
        ip("link", "add", BRIDGE, "type", "bridge")
    prefix = ipaddress.ip_network(settings.node_network).prefixlen
    ip("addr", "replace", f"{settings.node_ip}/{prefix}", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")
    for name, setting in _CHANGED.items():
        _remember(layout, name, setting)
    _IP_FORWARD.write_text("1\n")


def restore(layout: Layout, settings: Settings) -> None:
    """Undoes `prepare`."""
    if _bridge_exists():
        ip("link", "delete", BRIDGE)
    for each in (settings.cluster_cidr, settings.service_cidr):
        ip("route", "delete", "unreachable", each, "metric", str(UNREACHABLE_METRIC), check=False)
    for name, setting in _CHANGED.items():
        remembered = layout.run / "before" / name
        if remembered.exists():
            setting.write_text(remembered.read_text())
            remembered.unlink()


def _bridge_exists() -> bool:
    return Path(f"/sys/class/net/{BRIDGE}").exists()


def _remember(layout: Layout, name: str, setting: Path) -> None:
    """Keeps the value from before the cluster, once."""
    file = layout.run / "before" / name
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(setting.read_text())
