"""The fixed part of the proxy's nftables table, one for each address family, as nft(8) text. Pure.

Services are elements of maps; no service has a chain or a rule of its own, so that a change costs the same at ten services and at
ten thousand. How a new connection is treated:

    services      address . protocol . port -> goto the chain that picks among N endpoints
    pick-ip-N     address . protocol . port . random slot below N -> endpoint (dnat)

Session affinity needs memory: `sticky` chains look the client up, and it gets an endpoint's number back instead of an address, so
that a number no longer in the service's map falls through to a new choice.

Slots and numbers travel in the packet's priority, which the kernel sets anew when it forwards; marks, which other software shares,
are left alone. (A map whose key is an nft *expression*, which random slots would otherwise need, cannot be used by rules that are
added after it: nft 1.0.6 confuses the protocols of the two.)

Masquerading is decided after routing from the connection's original destination, so nothing has to be remembered between hooks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TABLE = "kubetree-proxy"
TRANSPORTS = ("tcp", "udp", "sctp")
CLIENTS_SIZE = 65536
"""How many sticky clients are remembered for each kind of frontend; beyond that a client is balanced like any other."""


@dataclass(frozen=True, slots=True)
class Family:
    """An address family's words in nft(8)."""

    version: int
    ip: str
    address_type: str
    loopback: str


IPV4 = Family(4, "ip", "ipv4_addr", "127.0.0.0/8")
IPV6 = Family(6, "ip6", "ipv6_addr", "::1")
FAMILIES = (IPV4, IPV6)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that map elements point to. Its name says all that its rules depend on, so equal names mean equal rules."""

    name: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the fixed part depends on. `cluster_cidrs` and `service_cidrs` are the ranges of this family only."""

    cluster_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    masquerade_all: bool = False
    node_ports_everywhere: bool = False
    """NodePorts on every local address but loopback, instead of those in the set `node-port-ips`."""
    node_ports_on_loopback: bool = False
    """NodePorts on loopback too. The kernel must then let 127.0.0.0/8 pass on other links (route_localnet)."""


SCOPES = ("ip", "ip-local", "port", "port-local")
"""Which map a frontend's endpoints stand in: by address and port, or by port alone (NodePorts); all, or the node's own only."""


def _key(family: Family, scope: str) -> str:
    address = f"{family.ip} daddr . " if scope.startswith("ip") else ""
    return f"{address}meta l4proto . th dport"


def _client(family: Family, scope: str) -> tuple[str, str]:
    """What a sticky client is known by: the declaration of the map's key and value, and the expression that gives the key.

    nft before 1.0.8 cannot learn keys longer than 16 bytes together with a value, so IPv6 clients go by two hashes.
    """
    key, ip = _key(family, scope), family.ip
    if family is IPV4:
        return f"type {family.address_type} . {_key_type(family, scope)} : classid", f"{ip} saddr . {key}"
    hashes = (f"jhash {ip} saddr . {ip} daddr . meta l4proto . th dport mod 4294967295 seed 0x{seed}" for seed in (1, 2))
    return "typeof numgen random mod 2 . numgen random mod 2 : meta priority", " . ".join(hashes)


def _key_type(family: Family, scope: str) -> str:
    address = f"{family.address_type} . " if scope.startswith("ip") else ""
    return f"{address}inet_proto . inet_service"


def slot_text(number: int) -> str:
    """A slot or an endpoint's number as nft writes packet priorities: two groups of hexadecimal digits."""
    return f"{number >> 16:x}:{number & 0xFFFF:x}"


def pick(family: Family, scope: str, count: int, affinity_timeout: int = 0) -> Chain:
    """The chain that sends a connection to one of `count` endpoints at random, or to the client's former one.

    A packet may be in the chain while the endpoints become fewer and miss its slot; slot 0 is there as long as any is.
    """
    key, ip = _key(family, scope), family.ip
    transports = f"meta l4proto {{ {', '.join(TRANSPORTS)} }}"
    slots = [f"meta priority set numgen random mod {n}" for n in dict.fromkeys((count, 1))]
    if not affinity_timeout:
        go = f"dnat {ip} to {key} . meta priority map @{scope}-endpoints"
        return Chain(f"pick-{scope}-{count}", tuple(f"{transports} {slot} {go}" for slot in slots))
    _, client = _client(family, scope)
    remember = f"update @{scope}-clients {{ {client} timeout {affinity_timeout}s : meta priority }}"
    go = f"dnat {ip} to {key} . meta priority map @{scope}-numbers"
    return Chain(
        f"pick-{scope}-{count}-sticky-{affinity_timeout}",
        (
            f"{transports} meta priority set {client} map @{scope}-clients {remember} {go}",
            f"delete @{scope}-clients {{ {client} : meta priority }}",
            *(f"{transports} {slot} meta priority set {key} . meta priority map @{scope}-slots {remember} {go}" for slot in slots),
        ),
    )


def split(family: Family, settings: Settings, inside: Chain | None, outside: Chain | None) -> Chain:
    """The chain of a frontend with externalTrafficPolicy Local: the cluster's own pods and this node go where any endpoint is,
    as if they had gone out to a load balancer and come back; everyone else gets the node's own endpoints or nothing."""
    rules = []
    if inside:
        rules += [f"{family.ip} saddr {cidr} goto {inside.name}" for cidr in settings.cluster_cidrs]
        rules.append(f"fib saddr type local goto {inside.name}")
    if outside:
        rules.append(f"goto {outside.name}")
    return Chain(f"split-{inside.name if inside else 'none'}-or-{outside.name if outside else 'none'}", tuple(rules))


def definition(family: Family, settings: Settings) -> str:
    """The table without elements, as text for one transaction that replaces whatever stood under its name."""
    name = f"{family.ip} {TABLE}"
    lines = [f"add table {name}", f"delete table {name}", f"table {name} {{"]
    lines += [f"\t{line}" for line in (*_sets(family), *_chains(family, settings))]
    return "\n".join([*lines, "}"]) + "\n"


def _sets(family: Family) -> Iterator[str]:
    address = family.address_type
    yield f"set cluster-ips {{ type {address}; }}"
    yield f"set node-port-ips {{ type {address}; }}"
    yield f"set hairpin {{ type {address} . {address}; }}"
    yield f"set firewalled {{ type {address} . inet_proto . inet_service; }}"
    yield f"set allowed-sources {{ type {address} . inet_proto . inet_service . {address}; flags interval; }}"
    for verdicts in ("services", "unavailable", "masquerade-ips"):
        yield f"map {verdicts} {{ type {address} . inet_proto . inet_service : verdict; }}"
    for verdicts in ("node-ports", "unavailable-node-ports", "masquerade-node-ports"):
        yield f"map {verdicts} {{ type inet_proto . inet_service : verdict; }}"
    for scope in SCOPES:
        key = f"{_key_type(family, scope)} . classid"
        yield f"map {scope}-endpoints {{ type {key} : {address} . inet_service; }}"
        yield f"map {scope}-slots {{ type {key} : classid; }}"
        yield f"map {scope}-numbers {{ type {key} : {address} . inet_service; }}"
        yield f"map {scope}-clients {{ {_client(family, scope)[0]}; size {CLIENTS_SIZE}; flags dynamic,timeout; }}"


def _chains(family: Family, settings: Settings) -> Iterator[str]:
    ip, key = family.ip, _key(family, "ip")
    port_key = _key(family, "port")
    here = f"{ip} daddr @node-port-ips"
    if settings.node_ports_everywhere:
        here = "fib daddr type local" if settings.node_ports_on_loopback else f"{ip} daddr != {family.loopback} fib daddr type local"

    yield from _chain("find-service", f"{key} vmap @services", f"{here} {port_key} vmap @node-ports")
    yield from _chain("nat-prerouting", "type nat hook prerouting priority dstnat; policy accept;", "jump find-service")
    yield from _chain("nat-output", "type nat hook output priority -100; policy accept;", "jump find-service")

    yield from _chain("masquerade-always", "masquerade fully-random")
    yield from _chain("masquerade-node", "fib saddr type local masquerade fully-random")
    outsiders = [f"{ip} saddr != {_group(settings.cluster_cidrs)} masquerade fully-random"] if settings.cluster_cidrs else []
    yield from _chain("masquerade-cluster-ip", *(["masquerade fully-random"] if settings.masquerade_all else outsiders))
    originals = [f"meta l4proto {t} ct original {ip} daddr . meta l4proto . ct original proto-dst vmap @masquerade-ips" for t in TRANSPORTS]
    originals += [f"meta l4proto {t} meta l4proto . ct original proto-dst vmap @masquerade-node-ports" for t in TRANSPORTS]
    yield from _chain(
        "nat-postrouting",
        "type nat hook postrouting priority srcnat; policy accept;",
        "ct status & dnat == 0 return",
        f"{ip} saddr . {ip} daddr @hairpin masquerade fully-random",
        f"ct original {ip} daddr @cluster-ips goto masquerade-cluster-ip",
        *originals,
    )

    if settings.node_ports_on_loopback:
        strangers = [f'iifname != "lo" ct state new {ip} {side} {family.loopback} drop' for side in ("saddr", "daddr")]
        yield from _chain("guard-loopback", "type filter hook prerouting priority -150; policy accept;", *strangers)

    firewall = f"ct state new {key} @firewalled {key} . {ip} saddr != @allowed-sources drop"
    yield from _chain("source-prerouting", "type filter hook prerouting priority -110; policy accept;", firewall)
    yield from _chain("source-output", "type filter hook output priority -110; policy accept;", firewall)

    yield from _chain("refuse", "meta l4proto tcp reject with tcp reset", "reject")
    checks = [f"{key} vmap @unavailable", f"{ip} daddr @cluster-ips goto refuse"]
    if settings.service_cidrs:
        checks.append(f"{ip} daddr {_group(settings.service_cidrs)} fib daddr type != local drop")
    yield from _chain("check-service", *checks)
    new = "ct state new jump check-service"
    node_port = f"ct state new {here} {port_key} vmap @unavailable-node-ports"
    yield from _chain("filter-input", "type filter hook input priority filter; policy accept;", node_port, new)
    yield from _chain("filter-forward", "type filter hook forward priority filter; policy accept;", "ct state invalid drop", new)
    yield from _chain("filter-output", "type filter hook output priority filter; policy accept;", new)


def _chain(name: str, *lines: str) -> Iterator[str]:
    yield f"chain {name} {{"
    yield from (f"\t{line}" for line in lines)
    yield "}"


def _group(cidrs: Sequence[str]) -> str:
    return "{ " + ", ".join(cidrs) + " }"
