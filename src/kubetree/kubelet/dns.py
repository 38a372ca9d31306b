"""What a pod's resolv.conf says, from its dnsPolicy, its dnsConfig and the node's own resolv.conf. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kubetree.kubelet import specs

Object = dict[str, Any]

MAX_SERVERS, MAX_SEARCHES, MAX_SEARCH_LENGTH, MAX_NAME = 3, 32, 2048, 253


@dataclass(frozen=True, slots=True)
class Resolver:
    """The lines of a resolv.conf."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DnsSettings:
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    node: Resolver = field(default_factory=Resolver)


def parse_resolv_conf(text: str) -> Resolver:
    servers: list[str] = []
    searches: list[str] = []
    options: dict[str, str] = {}
    for line in text.splitlines():
        words = line.strip().split()
        if not words or words[0].startswith(("#", ";")):
            continue
        if words[0] == "nameserver" and len(words) > 1:
            servers.append(words[1])
        elif words[0] == "search":
            searches = [word.removesuffix(".") for word in words[1:] if word != "."]
        elif words[0] == "options":
            options |= {word.split(":")[0]: word for word in words[1:]}
    return Resolver(tuple(servers), tuple(searches), tuple(options.values()))


def pod_resolver(pod: Object, settings: DnsSettings) -> tuple[Resolver, list[tuple[str, str]]]:
    """The pod's resolver, and warnings as (event reason, message)."""
    policy = pod["spec"].get("dnsPolicy") or "ClusterFirst"
    warnings: list[tuple[str, str]] = []
    cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not specs.is_host_network(pod))
    if cluster and not settings.cluster_dns:
        cluster = False
        warnings.append(
            (
                "MissingClusterDNS",
                f'pod: "{specs.full_name(pod)}". kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" '
                'policy. Falling back to "Default" policy.',
            )
        )
    if policy == "None":
        resolver = Resolver()
    elif cluster:
        domain, namespace = settings.cluster_domain, pod["metadata"]["namespace"]
        own = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain) if domain else ()
        resolver = Resolver(settings.cluster_dns, _unique((*own, *settings.node.searches)), ("ndots:5",))
    else:
        resolver = settings.node
    return _within_limits(_extended(resolver, pod["spec"].get("dnsConfig") or {}), warnings), warnings


def _extended(resolver: Resolver, config: Object) -> Resolver:
    options = {option.split(":", 1)[0]: option for option in resolver.options}
    for option in config.get("options") or ():
        options[option["name"]] = f"{option['name']}:{option['value']}" if option.get("value") else option["name"]
    return Resolver(
        _unique((*resolver.servers, *(config.get("nameservers") or ()))),
        _unique((*resolver.searches, *(config.get("searches") or ()))),
        tuple(options.values()),
    )


def _within_limits(resolver: Resolver, warnings: list[tuple[str, str]]) -> Resolver:
    servers = resolver.servers[:MAX_SERVERS]
    if len(servers) < len(resolver.servers):
        text = f"Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {' '.join(servers)}"
        warnings.append(("DNSConfigForming", text))
    searches = [name for name in resolver.searches[:MAX_SEARCHES] if len(name) <= MAX_NAME]
    while len(" ".join(searches)) > MAX_SEARCH_LENGTH:
        searches.pop()
    if len(searches) < len(resolver.searches):
        text = f"Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {' '.join(searches)}"
        warnings.append(("DNSConfigForming", text))
    return Resolver(servers, tuple(searches), resolver.options)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
