"""Names below the cluster domain, taken apart. Pure.

    svc.ns.svc                  a service
    host.svc.ns.svc             an endpoint of it
    _port._proto.svc.ns.svc     a port of it
    a-b-c-d.ns.pod              an address, whoever has it

Follows CoreDNS' kubernetes plugin in what is a name without records (NODATA) and what is no name (NXDOMAIN).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import Enum


class NameKind(Enum):
    """What a name asks for. EMPTY exists and has no records; UNKNOWN does not exist."""

    APEX = "apex"
    EMPTY = "empty"
    NAMESPACE = "namespace"
    SERVICE = "service"
    POD = "pod"
    VERSION = "version"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Name:
    """A parsed name. `endpoint` or `port` and `protocol` narrow a service; `address` is a pod name's, "" when it is none."""

    kind: NameKind
    namespace: str = ""
    service: str = ""
    endpoint: str = ""
    port: str = ""
    protocol: str = ""
    address: str = ""


def parse_name(name: str, domain: str) -> Name | None:
    """`name` and `domain` in lower case without the last dot. None when the name is not below the domain."""
    if name == domain:
        return Name(NameKind.APEX)
    if not name.endswith("." + domain):
        return None
    labels = name[: -len(domain) - 1].split(".")
    family = labels.pop()
    if family == "dns-version" and not labels:
        return Name(NameKind.VERSION)
    if family not in ("svc", "pod"):
        return Name(NameKind.UNKNOWN)
    if not labels:
        return Name(NameKind.EMPTY)
    namespace = labels.pop()
    if not labels:
        return Name(NameKind.NAMESPACE, namespace)
    first = labels.pop()
    if family == "pod":
        return Name(NameKind.UNKNOWN) if labels else Name(NameKind.POD, namespace, address=_dashed_address(first))
    match labels:
        case []:
            return Name(NameKind.SERVICE, namespace, first)
        case [endpoint]:
            return Name(NameKind.SERVICE, namespace, first, endpoint=endpoint)
        case [port, protocol] if port.startswith("_") and protocol.startswith("_"):
            return Name(NameKind.SERVICE, namespace, first, port=port[1:], protocol=protocol[1:])
    return Name(NameKind.UNKNOWN)


def parse_reverse(name: str) -> str:
    """The address that a name below in-addr.arpa or ip6.arpa stands for; "" when it stands for none."""
    if name.endswith(".in-addr.arpa"):
        text = ".".join(reversed(name[: -len(".in-addr.arpa")].split(".")))
    elif name.endswith(".ip6.arpa"):
        digits = "".join(reversed(name[: -len(".ip6.arpa")].split(".")))
        text = ":".join(digits[i : i + 4] for i in range(0, len(digits), 4))
    else:
        return ""
    return _canonical(text)


def dashed(address: str) -> str:
    """An address as a label: 10-1-2-3, and for IPv6 with dashes for colons."""
    return address.replace(".", "-").replace(":", "-")


def _dashed_address(label: str) -> str:
    plain = label.count("-") == 3 and "--" not in label
    return _canonical(label.replace("-", "." if plain else ":"))


def _canonical(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
