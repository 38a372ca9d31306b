"""Ingresses, network policies, and the address ranges of services."""

from __future__ import annotations

from typing import Any

from kubetree.api.validation.addresses import canonical_cidr, canonical_ip, legacy_cidr, legacy_ip, parse_cidr, parse_sloppy
from kubetree.api.validation.errors import Errors, Object, each, forbidden, invalid, not_supported, required, too_long
from kubetree.api.validation.jobs import domain_path
from kubetree.api.validation.metadata import IMMUTABLE, immutable, label_selector
from kubetree.api.validation.names import (
    dns_label,
    dns_subdomain,
    path_segment,
    port_name,
    port_number,
    wildcard_subdomain,
)  # fmt: skip

Thing = dict[str, Any]
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")


def _policy_port(errs: Errors, port: Object, path: str) -> None:
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None and protocol not in ("TCP", "UDP", "SCTP"):
        errs.append(not_supported(f"{path}.protocol", protocol, ("TCP", "UDP", "SCTP")))
    if number is None:
        if end is not None:
            errs.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
    elif isinstance(number, str):
        if end is not None:
            errs.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
        each(errs, f"{path}.port", number, port_name(number))
    else:
        each(errs, f"{path}.port", number, port_number(number))
        if end is not None:
            if end < number:
                errs.append(invalid(f"{path}.endPort", number, "must be greater than or equal to `port`"))
            each(errs, f"{path}.endPort", end, port_number(end))


def _ip_block(errs: Errors, block: Object, path: str, known: set[str]) -> None:
    cidr = block.get("cidr") or ""
    if not cidr:
        errs.append(required(f"{path}.cidr"))
        return
    legacy_cidr(errs, cidr, f"{path}.cidr", known)
    whole = parse_cidr(cidr)
    if whole is None:
        return
    for i, text in enumerate(block.get("except") or ()):
        at = f"{path}.except[{i}]"
        legacy_cidr(errs, text, at, known)
        part = parse_cidr(text)
        if part is None:
            continue
        if part.version != whole.version or part.network_address not in whole or whole.prefixlen >= part.prefixlen:
            errs.append(invalid(at, text, "must be a strict subset of `cidr`"))


def _peer(errs: Errors, peer: Object, path: str, known: set[str]) -> None:
    selectors = [n for n in ("podSelector", "namespaceSelector") if peer.get(n) is not None]
    for name in selectors:
        label_selector(errs, peer[name], f"{path}.{name}")
    block = peer.get("ipBlock")
    if block is not None:
        _ip_block(errs, block, f"{path}.ipBlock", known)
        if selectors:
            errs.append(forbidden(path, "may not specify both ipBlock and another peer"))
    elif not selectors:
        errs.append(required(path, "must specify a peer"))


def _policy(errs: Errors, spec: Object, known: set[str]) -> None:
    label_selector(errs, spec.get("podSelector"), "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(direction) or ()):
            for j, port in enumerate(rule.get("ports") or ()):
                _policy_port(errs, port, f"spec.{direction}[{i}].ports[{j}]")
            for j, peer in enumerate(rule.get(peers) or ()):
                _peer(errs, peer, f"spec.{direction}[{i}].{peers}[{j}]", known)
    types = spec.get("policyTypes") or ()
    if len(types) > 2:
        errs.append(invalid("spec.policyTypes", types, "may not specify more than two policyTypes"))
        return
    for i, kind in enumerate(types):
        if kind not in ("Ingress", "Egress"):
            errs.append(not_supported(f"spec.policyTypes[{i}]", kind, ("Ingress", "Egress")))


def network_policy(errs: Errors, obj: Thing) -> None:
    _policy(errs, obj.get("spec") or {}, set())


def network_policy_update(errs: Errors, new: Thing, old: Thing) -> None:
    known: set[str] = set()
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in (old.get("spec") or {}).get(direction) or ():
            for peer in rule.get(peers) or ():
                block = peer.get("ipBlock") or {}
                known.update([block.get("cidr") or "", *(block.get("except") or ())])
    _policy(errs, new.get("spec") or {}, known - {""})


def _host(errs: Errors, host: str, path: str) -> None:
    each(errs, path, host, wildcard_subdomain(host) if "*" in host else dns_subdomain(host))


def _reference(errs: Errors, ref: Object, path: str) -> None:
    if ref.get("apiGroup") is not None:
        each(errs, f"{path}.apiGroup", ref["apiGroup"], dns_subdomain(ref["apiGroup"]))
    for name in ("kind", "name"):
        if not ref.get(name):
            errs.append(required(f"{path}.{name}"))
        else:
            each(errs, f"{path}.{name}", ref[name], path_segment(ref[name]))


def _backend(errs: Errors, backend: Object, path: str) -> None:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        errs.append(invalid(path, "", "cannot set both resource and service backends"))
    elif resource is not None:
        _reference(errs, resource, f"{path}.resource")
    elif service is not None:
        if not service.get("name"):
            errs.append(required(f"{path}.service.name"))
        else:
            each(errs, f"{path}.service.name", service["name"], dns_label(service["name"]))
        port = service.get("port") or {}
        name, number = port.get("name"), port.get("number")
        if name and number:
            errs.append(invalid(path, "", "cannot set both port name & port number"))
        elif name:
            each(errs, f"{path}.service.port.name", name, port_name(name))
        elif number:
            each(errs, f"{path}.service.port.number", number, port_number(number))
        else:
            errs.append(required(path, "port name or number is required"))
    else:
        errs.append(invalid(path, "", "resource or service backend is required"))


def _http_path(errs: Errors, entry: Object, path: str) -> None:
    sort, text, at = entry.get("pathType"), entry.get("path") or "", f"{path}.path"
    if sort is None:
        errs.append(required(f"{path}.pathType", "pathType must be specified"))
        return
    if sort in ("Exact", "Prefix"):
        if not text.startswith("/"):
            errs.append(invalid(at, text, "must be an absolute path"))
        for part in ("//", "/./", "/../", "%2f", "%2F"):
            if part in text:
                errs.append(invalid(at, text, f"must not contain '{part}'"))
        for part in ("/..", "/."):
            if text.endswith(part):
                errs.append(invalid(at, text, f"cannot end with '{part}'"))
    elif sort == "ImplementationSpecific":
        if text and not text.startswith("/"):
            errs.append(invalid(at, text, "must be an absolute path"))
    else:
        errs.append(not_supported(f"{path}.pathType", sort, _PATH_TYPES))
    _backend(errs, entry.get("backend") or {}, f"{path}.backend")


def ingress(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    _ingress(errs, spec)
    name = (obj["metadata"].get("annotations") or {}).get(_CLASS_ANNOTATION)
    if name is not None and spec.get("ingressClassName") not in (None, name):
        detail = "must match `ingressClassName` when both are specified"
        errs.append(invalid(f"annotations.{_CLASS_ANNOTATION}", name, detail))


def ingress_update(errs: Errors, new: Thing, old: Thing) -> None:
    _ingress(errs, new.get("spec") or {})


def _ingress(errs: Errors, spec: Object) -> None:
    rules, default = spec.get("rules") or [], spec.get("defaultBackend")
    if not rules and default is None:
        errs.append(invalid("spec", spec.get("rules"), "either `defaultBackend` or `rules` must be specified"))
    if default is not None:
        _backend(errs, default, "spec.defaultBackend")
    for i, rule in enumerate(rules):
        host, path = rule.get("host"), f"spec.rules[{i}]"
        if host:
            if parse_sloppy(host) is not None:
                errs.append(invalid(f"{path}.host", host, "must be a DNS name, not an IP address"))
            _host(errs, host, f"{path}.host")
        http = rule.get("http")
        if http is not None:
            if not http.get("paths"):
                errs.append(required(f"{path}.http.paths"))
            for j, entry in enumerate(http.get("paths") or ()):
                _http_path(errs, entry, f"{path}.http.paths[{j}]")
    for i, tls in enumerate(spec.get("tls") or ()):
        for j, host in enumerate(tls.get("hosts") or ()):
            _host(errs, host, f"spec.tls[{i}].hosts[{j}]")
        if tls.get("secretName"):
            each(errs, f"spec.tls[{i}].secretName", tls["secretName"], dns_subdomain(tls["secretName"]))
    if spec.get("ingressClassName") is not None:
        each(errs, "spec.ingressClassName", spec["ingressClassName"], dns_subdomain(spec["ingressClassName"]))


def ingress_status(errs: Errors, new: Thing, old: Thing) -> None:
    def entries(obj: Thing) -> list[dict[str, Any]]:
        return ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []

    known = {e.get("ip") or "" for e in entries(old)}
    for i, entry in enumerate(entries(new)):
        at, host = f"status.loadBalancer.ingress[{i}]", entry.get("hostname")
        if entry.get("ip"):
            legacy_ip(errs, entry["ip"], f"{at}.ip", known)
        if host:
            each(errs, f"{at}.hostname", host, dns_subdomain(host))
            if parse_sloppy(host) is not None:
                errs.append(invalid(f"{at}.hostname", host, "must be a DNS name, not an IP address"))


def ingress_class(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    controller, parameters, path = spec.get("controller") or "", spec.get("parameters"), "spec.parameters"
    if len(controller) > 250:
        errs.append(too_long("spec.controller", 250))
    domain_path(errs, controller, "spec.controller")
    if parameters is None:
        return
    _reference(errs, parameters, path)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        errs.append(required(f"{path}.scope"))
    elif scope not in ("Cluster", "Namespace"):
        errs.append(not_supported(f"{path}.scope", scope, ("Cluster", "Namespace")))
    elif scope == "Namespace":
        if namespace is None:
            errs.append(required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
        else:
            each(errs, f"{path}.namespace", namespace, dns_label(namespace))
    elif namespace is not None:
        errs.append(forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))


def ingress_class_update(errs: Errors, new: Thing, old: Thing) -> None:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    immutable(errs, after.get("controller") or "", before.get("controller") or "", "spec.controller")
    ingress_class(errs, new)


def ip_address_name(name: str) -> tuple[str, ...]:
    errs: Errors = []
    canonical_ip(errs, name, "")
    return tuple(e.detail for e in errs)


def ip_address(errs: Errors, obj: Thing) -> None:
    ref = (obj.get("spec") or {}).get("parentRef")
    path = "spec.parentRef"
    if ref is None:
        errs.append(required(path))
        return
    if ref.get("group"):
        each(errs, f"{path}.group", ref["group"], dns_subdomain(ref["group"]))
    for name in ("resource", "name"):
        if not ref.get(name):
            errs.append(required(f"{path}.{name}"))
        else:
            each(errs, f"{path}.{name}", ref[name], path_segment(ref[name]))
    if ref.get("namespace"):
        each(errs, f"{path}.namespace", ref["namespace"], path_segment(ref["namespace"]))


def ip_address_update(errs: Errors, new: Thing, old: Thing) -> None:
    immutable(
        errs,
        (new.get("spec") or {}).get("parentRef"),
        (old.get("spec") or {}).get("parentRef"),
        "spec.parentRef",
        struct="networking.ParentReference",
    )


def service_cidr(errs: Errors, obj: Thing) -> None:
    path, ranges = "spec.cidrs", (obj.get("spec") or {}).get("cidrs") or []
    if not ranges:
        errs.append(required(path, "at least one CIDR required"))
        return
    if len(ranges) > 2:
        errs.append(invalid(path, obj.get("spec"), "may only hold up to 2 values"))
        return
    for i, text in enumerate(ranges):
        canonical_cidr(errs, text, f"{path}[{i}]")
    families = [p.version for p in map(parse_cidr, ranges) if p is not None]
    if len(families) == 2 and families[0] == families[1]:
        detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errs.append(invalid(path, ranges, detail))


def service_cidr_update(errs: Errors, new: Thing, old: Thing) -> None:
    path, after, before = "spec.cidrs", (new.get("spec") or {}).get("cidrs") or [], (old.get("spec") or {}).get("cidrs") or []
    if len(after) == len(before):
        for i, (a, b) in enumerate(zip(after, before, strict=True)):
            if a != b:
                errs.append(invalid(f"{path}[{i}]", a, IMMUTABLE))
    elif len(before) == 1 and len(after) == 2:
        if after[0] != before[0]:
            errs.append(invalid(f"{path}[0]", after[0], IMMUTABLE))
        service_cidr(errs, new)
    else:
        errs.append(invalid(path, after, IMMUTABLE))
