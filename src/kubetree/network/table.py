"""The network's nftables table on a node: host ports of its pods, and masquerading of pods that talk to the outside. Pure.

The table is small (host ports are rare), so it is written whole when it changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

TABLE = "kubetree-network"
_TRANSPORTS = "{ tcp, udp, sctp }"
_ANY = ("", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    """A port of the node that leads to a pod. `host_ip` "" means every address of the node."""

    host_ip: str
    protocol: str
    port: int
    pod_ip: str
    container_port: int


def host_ports(pods: Iterable[Object], version: int) -> list[HostPort]:
    """The host ports of a node's pods in IP `version`. Pods on the host network need none; pods that ended have none."""
    found = set()
    for pod in pods:
        spec, status = pod.get("spec", {}), pod.get("status", {})
        addresses = [entry["ip"] for entry in status.get("podIPs") or () if (":" in entry["ip"]) == (version == 6)]
        if spec.get("hostNetwork") or not addresses or status.get("phase") in ("Succeeded", "Failed"):
            continue
        for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
            for port in container.get("ports") or ():
                host_ip = port.get("hostIP") or ""
                if not port.get("hostPort") or (host_ip not in _ANY and (":" in host_ip) != (version == 6)):
                    continue
                protocol = port.get("protocol", "TCP").lower()
                wanted = "" if host_ip in _ANY else host_ip
                found.add(HostPort(wanted, protocol, port["hostPort"], addresses[0], port["containerPort"]))
    return sorted(found)


def render(ports: Sequence[HostPort], cluster_cidrs: Sequence[str], version: int) -> str:
    """The whole table of one family, as the text of one transaction that replaces it."""
    ip = "ip" if version == 4 else "ip6"
    lines = [f"add table {ip} {TABLE}", f"delete table {ip} {TABLE}", f"table {ip} {TABLE} {{"]
    lines += [f"\t{line}" for line in (*_maps(ports, version), *_chains(cluster_cidrs, version))]
    return "\n".join([*lines, "}"]) + "\n"


def removal() -> str:
    """The transaction that takes the tables of both families away, there or not."""
    return "".join(f"add table {ip} {TABLE}\ndelete table {ip} {TABLE}\n" for ip in ("ip", "ip6"))


def _maps(ports: Sequence[HostPort], version: int) -> Iterator[str]:
    address = "ipv4_addr" if version == 4 else "ipv6_addr"
    everywhere = {f"{p.protocol} . {p.port}": f"{p.pod_ip} . {p.container_port}" for p in ports if not p.host_ip}
    somewhere = {f"{p.host_ip} . {p.protocol} . {p.port}": f"{p.pod_ip} . {p.container_port}" for p in ports if p.host_ip}
    pods = dict.fromkeys(f"{p.pod_ip} . {p.pod_ip}" for p in ports)
    yield from _map("map host-ports", f"inet_proto . inet_service : {address} . inet_service", everywhere)
    yield from _map("map host-ip-ports", f"{address} . inet_proto . inet_service : {address} . inet_service", somewhere)
    yield from _map("set hairpin", f"{address} . {address}", dict.fromkeys(pods, ""))


def _map(name: str, kind: str, elements: dict[str, str]) -> Iterator[str]:
    yield f"{name} {{"
    yield f"\ttype {kind};"
    if elements:
        yield "\telements = { " + ", ".join(f"{key} : {value}" if value else key for key, value in elements.items()) + " };"
    yield "}"


def _chains(cluster_cidrs: Sequence[str], version: int) -> Iterator[str]:
    """Host ports answer on loopback too, as with the portmap plugin. The kernel then lets 127.0.0.0/8 pass on pods' links
    (route_localnet), which `guard-loopback` forbids to all but answers."""
    ip, loopback = ("ip", "127.0.0.0/8") if version == 4 else ("ip6", "::1")
    here = f"fib daddr type local meta l4proto {_TRANSPORTS}"
    yield from _chain(
        "find-host-port",
        f"{here} dnat {ip} to {ip} daddr . meta l4proto . th dport map @host-ip-ports",
        f"{here} dnat {ip} to meta l4proto . th dport map @host-ports",
    )
    yield from _chain("nat-prerouting", "type nat hook prerouting priority dstnat; policy accept;", "jump find-host-port")
    yield from _chain("nat-output", "type nat hook output priority -100; policy accept;", "jump find-host-port")
    rules = [f"ct status & dnat == dnat {ip} saddr . {ip} daddr @hairpin masquerade fully-random"]
    rules.append(f'ct status & dnat == dnat {ip} saddr {loopback} oifname != "lo" masquerade fully-random')
    if cluster_cidrs:
        pods = "{ " + ", ".join(cluster_cidrs) + " }"
        rules.append(f"{ip} saddr {pods} {ip} daddr != {pods} masquerade fully-random")
    yield from _chain("nat-postrouting", "type nat hook postrouting priority srcnat; policy accept;", *rules)
    strangers = [f'iifname != "lo" ct state new {ip} {side} {loopback} drop' for side in ("saddr", "daddr")]
    yield from _chain("guard-loopback", "type filter hook prerouting priority -150; policy accept;", *strangers)


def _chain(name: str, *lines: str) -> Iterator[str]:
    yield f"chain {name} {{"
    yield from (f"\t{line}" for line in lines)
    yield "}"
