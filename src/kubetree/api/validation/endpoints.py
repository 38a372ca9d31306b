"""Endpoints and endpoint slices: where a service's traffic goes."""

from __future__ import annotations

from typing import Any

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.addresses import endpoint_ip, legacy_ip, parse_sloppy
from kubetree.api.validation.errors import Errors, Object, duplicate, each, invalid, not_supported, required, too_many
from kubetree.api.validation.metadata import immutable
from kubetree.api.validation.names import dns_label, dns_subdomain, label_key, label_value, port_number
from kubetree.api.validation.services import PROTOCOLS

Endpoints = dict[str, Any]
_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")


def _address(errs: Errors, address: Object, path: str) -> None:
    text = address.get("ip") or ""
    legacy_ip(errs, text, f"{path}.ip")
    if address.get("hostname"):
        each(errs, f"{path}.hostname", address["hostname"], dns_label(address["hostname"]))
    if address.get("nodeName") is not None:
        each(errs, f"{path}.nodeName", address["nodeName"], dns_subdomain(address["nodeName"]))
    endpoint_ip(errs, text, f"{path}.ip")


def _port(errs: Errors, port: Object, path: str, many: bool) -> None:
    name, number, protocol = port.get("name"), port.get("port") or 0, port.get("protocol")
    if name:
        each(errs, f"{path}.name", name, dns_label(name))
    elif many:
        errs.append(required(f"{path}.name"))
    each(errs, f"{path}.port", number, port_number(number))
    if not protocol:
        errs.append(required(f"{path}.protocol"))
    elif protocol not in PROTOCOLS:
        errs.append(not_supported(f"{path}.protocol", protocol, PROTOCOLS))
    if port.get("appProtocol") is not None:
        each(errs, f"{path}.appProtocol", port["appProtocol"], label_key(port["appProtocol"]))


def create(errs: Errors, obj: Endpoints) -> None:
    for i, subset in enumerate(obj.get("subsets") or ()):
        path = f"subsets[{i}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errs.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for group in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(subset.get(group) or ()):
                _address(errs, address, f"{path}.{group}[{j}]")
        ports = subset.get("ports") or ()
        for j, port in enumerate(ports):
            _port(errs, port, f"{path}.ports[{j}]", len(ports) > 1)


def update(errs: Errors, new: Endpoints, old: Endpoints) -> None:
    if not semantic_equal(new.get("subsets"), old.get("subsets")):
        create(errs, new)


def _slice_address(errs: Errors, text: str, family: str, path: str, known: tuple[str, ...]) -> None:
    if family == "FQDN" and not text:
        errs.append(required(path))
        return
    if family == "FQDN":
        each(errs, path, text, dns_subdomain(text))
        if not dns_subdomain(text) and "." not in text:
            errs.append(invalid(path, text, "should be a domain with at least two segments separated by dots"))
        return
    if family not in _ADDRESS_TYPES:
        return
    count = len(errs)
    legacy_ip(errs, text, path, known)
    if len(errs) > count:
        return
    parsed = parse_sloppy(text)
    if parsed is not None and f"IPv{parsed.version}" != family:
        errs.append(invalid(path.rpartition("[")[0], text, f"must be an {family} address"))
    endpoint_ip(errs, text, path)


def _hints(errs: Errors, hints: Object, path: str) -> None:
    for field, most in (("forZones", 8), ("forNodes", 8)):
        entries, seen = hints.get(field) or (), set()
        if len(entries) > most:
            errs.append(too_many(f"{path}.{field}", len(entries), most))
            continue
        for i, entry in enumerate(entries):
            name, at = entry.get("name") or "", f"{path}.{field}[{i}].name"
            if name in seen:
                errs.append(duplicate(at, name))
            seen.add(name)
            each(errs, at, name, label_value(name) if field == "forZones" else dns_subdomain(name))


def _slice_ports(errs: Errors, ports: Any) -> None:
    if len(ports) > 20000:
        errs.append(too_many("ports", len(ports), 20000))
        return
    seen: set[str] = set()
    for i, port in enumerate(ports):
        at, name, protocol = f"ports[{i}]", port.get("name") or "", port.get("protocol")
        if name:
            each(errs, f"{at}.name", name, dns_label(name))
        if name in seen:
            errs.append(duplicate(f"{at}.name", name))
        seen.add(name)
        if protocol is None:
            errs.append(required(f"{at}.protocol"))
        elif protocol not in PROTOCOLS:
            errs.append(not_supported(f"{at}.protocol", protocol, PROTOCOLS))
        if port.get("appProtocol") is not None:
            each(errs, f"{at}.appProtocol", port["appProtocol"], label_key(port["appProtocol"]))


def _slice(errs: Errors, obj: Endpoints, old: Endpoints | None) -> None:
    family = obj.get("addressType") or ""
    if not family:
        errs.append(required("addressType"))
    elif family not in _ADDRESS_TYPES:
        errs.append(not_supported("addressType", family, _ADDRESS_TYPES))
    entries = obj.get("endpoints") or ()
    if len(entries) > 1000:
        errs.append(too_many("endpoints", len(entries), 1000))
    else:
        known = tuple(a for e in (old or {}).get("endpoints") or () for a in e.get("addresses") or ())
        for i, entry in enumerate(entries):
            path, addresses = f"endpoints[{i}]", entry.get("addresses") or ()
            if not addresses:
                errs.append(required(f"{path}.addresses", "must contain at least 1 address"))
            elif len(addresses) > 100:
                errs.append(too_many(f"{path}.addresses", len(addresses), 100))
            for j, text in enumerate(addresses):
                _slice_address(errs, text, family, f"{path}.addresses[{j}]", known)
            if entry.get("nodeName") is not None:
                each(errs, f"{path}.nodeName", entry["nodeName"], dns_subdomain(entry["nodeName"]))
            for key, value in (entry.get("deprecatedTopology") or {}).items():
                each(errs, f"{path}.deprecatedTopology", key, label_key(key))
                each(errs, f"{path}.deprecatedTopology", value, label_value(value))
            if entry.get("hostname") is not None:
                each(errs, f"{path}.hostname", entry["hostname"], dns_label(entry["hostname"]))
            if entry.get("hints") is not None:
                _hints(errs, entry["hints"], f"{path}.hints")
    _slice_ports(errs, obj.get("ports") or ())


def create_slice(errs: Errors, obj: Endpoints) -> None:
    _slice(errs, obj, None)


def update_slice(errs: Errors, new: Endpoints, old: Endpoints) -> None:
    if not semantic_equal(*({k: v for k, v in o.items() if k != "metadata"} for o in (new, old))):
        _slice(errs, new, old)
    immutable(errs, new.get("addressType") or "", old.get("addressType") or "", "addressType")
