"""Services, endpoints, ingresses and address ranges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from kubetree.api.printers.text import created, joined, labels, listed, selector

Object = Mapping[str, Any]
Cells = list[Any]


def _balancers(obj: Object) -> str:
    """The addresses that a load balancer gave, sorted."""
    entries = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(sorted({e.get("ip") or e.get("hostname") or "" for e in entries} - {""}))


def _external(obj: Object) -> str:
    spec = obj.get("spec") or {}
    sort, addresses = spec.get("type"), spec.get("externalIPs") or []
    if sort in ("ClusterIP", "NodePort"):
        return joined(addresses)
    if sort == "LoadBalancer":
        return joined([a for a in (_balancers(obj), *addresses) if a], "<pending>")
    return str(spec.get("externalName") or "") if sort == "ExternalName" else "<unknown>"


def _port(port: Object) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node}/{port.get('protocol')}"


def service(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    addresses = spec.get("clusterIPs") or ()
    return [
        obj["metadata"].get("name"),
        spec.get("type") or "",
        addresses[0] if addresses else "<none>",
        _external(obj),
        joined(_port(p) for p in spec.get("ports") or ()),
        created(obj, now),
        labels(spec.get("selector")),
    ]


def _subset_addresses(subsets: Iterable[Object]) -> tuple[list[str], int]:
    shown: list[str] = []
    count = 0
    for subset in subsets:
        addresses, ports = subset.get("addresses") or (), subset.get("ports") or ()
        for port in ports:
            for address in addresses:
                text = address.get("ip") or ""
                host = f"[{text}]" if ":" in text else text
                shown.append(f"{host}:{port.get('port')}")
                count += 1
        if not ports:
            shown += [a.get("ip") or "" for a in addresses]
            count += len(addresses)
    return shown, count


def endpoints(obj: Object, now: datetime) -> Cells:
    shown, count = _subset_addresses(obj.get("subsets") or ())
    return [obj["metadata"].get("name"), listed(shown, 3, count), created(obj, now)]


def endpoint_slice(obj: Object, now: datetime) -> Cells:
    ports = [_slice_port(p) for p in obj.get("ports") or ()]
    addresses = [a for e in obj.get("endpoints") or () for a in e.get("addresses") or ()]
    return [
        obj["metadata"].get("name"),
        obj.get("addressType") or "",
        _unset(listed(ports, 3)),
        _unset(listed(addresses, 3)),
        created(obj, now),
    ]


def _slice_port(port: Object) -> str:
    if port.get("port") is not None:
        return str(port["port"])
    return "*" if port.get("name") is None else str(port["name"])


def _unset(text: str) -> str:
    return "<unset>" if text in ("<none>", "") else text


def ingress(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    rules = spec.get("rules") or ()
    hosts: list[str] = []
    more = False
    for rule in rules:
        more = more or len(hosts) == 3
        if not more and rule.get("host"):
            hosts.append(rule["host"])
    shown = ",".join(hosts) or "*"
    return [
        obj["metadata"].get("name"),
        spec.get("ingressClassName") or "<none>",
        f"{shown} + {len(rules) - 3} more..." if more and hosts else shown,
        _balancers(obj),
        "80, 443" if spec.get("tls") else "80",
        created(obj, now),
    ]


def ingress_class(obj: Object, now: datetime) -> Cells:
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    name = metadata.get("name")
    if (metadata.get("annotations") or {}).get("ingressclass.kubernetes.io/is-default-class") == "true":
        name = f"{name} (default)"
    ref, parameters = spec.get("parameters"), "<none>"
    if ref is not None:
        kind = f"{ref.get('kind')}.{ref['apiGroup']}" if ref.get("apiGroup") is not None else ref.get("kind")
        parameters = f"{kind}/{ref.get('name')}"
    return [name, spec.get("controller") or "", parameters, created(obj, now)]


def network_policy(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"].get("name"), selector((obj.get("spec") or {}).get("podSelector")), created(obj, now)]


def service_cidr(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"].get("name"), ",".join((obj.get("spec") or {}).get("cidrs") or ()), created(obj, now)]


def ip_address(obj: Object, now: datetime) -> Cells:
    ref, parent = (obj.get("spec") or {}).get("parentRef"), "<none>"
    if ref is not None:
        resource = f"{ref.get('resource')}.{ref['group']}" if ref.get("group") else str(ref.get("resource"))
        parts = [resource.lower(), *([ref["namespace"]] if ref.get("namespace") else []), ref.get("name") or ""]
        parent = "/".join(parts)
    return [obj["metadata"].get("name"), parent, created(obj, now)]
