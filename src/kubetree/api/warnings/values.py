"""Warnings that several kinds share: deprecated labels of nodes, odd spellings of addresses, fractions of bytes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from kubetree.api.validation.addresses import parse_cidr, parse_sloppy
from kubetree.api.validation.errors import quote
from kubetree.api.validation.names import dns_label, label_value
from kubetree.api.validation.resources import quantity

Object = Mapping[str, Any]
Texts = list[str]

DEPRECATED_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
CLASS_MESSAGE = 'deprecated since v1.8; use "storageClassName" attribute instead'


def host_name(out: Texts, name: str, used: str) -> None:
    """A name that becomes a pod's host name. `used`: `the Pod's hostname` or `Pod names and hostnames`."""
    bad = dns_label(name)
    if bad:
        advice = "which can result in surprising behavior; a DNS label is recommended"
        out.append(f"metadata.name: this is used in {used}, {advice}: [{' '.join(bad)}]")


def selector_term(out: Texts, term: Object, path: str, *, check_values: bool) -> None:
    for i, expression in enumerate(term.get("matchExpressions") or ()):
        key = expression.get("key") or ""
        if key in DEPRECATED_LABELS:
            out.append(f"{path}.matchExpressions[{i}].key: {key} is {DEPRECATED_LABELS[key]}")
        if check_values:
            for k, value in enumerate(expression.get("values") or ()):
                for message in label_value(value):
                    out.append(f"{path}.matchExpressions[{i}].values[{k}]: {value} is invalid, {message}")


@lru_cache(maxsize=1 << 12)
def _fractional(text: str | int | float) -> bool:
    return quantity(text).milli() % 1000 != 0


def fraction(out: Texts, amounts: Object, path: str, name: str) -> None:
    """The amount called `name` of `amounts` at `path` is in bytes."""
    text = amounts.get(name)
    if text is not None and _fractional(text):
        out.append(f"{path}[{name}]: fractional byte value {quote(str(quantity(text)))} is invalid, must be an integer")


def claim_spec(out: Texts, spec: Object, path: str) -> None:
    resources = spec.get("resources") or {}
    for field in ("requests", "limits"):
        fraction(out, resources.get(field) or {}, f"{path}.resources.{field}", "storage")


def _strict(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def ip(out: Texts, text: str, path: str) -> None:
    parsed, strict = parse_sloppy(text), _strict(text)
    if parsed is None:
        return
    if strict is None or strict != parsed:
        out.append(f"{path}: non-standard IP address {quote(text)} is invalid: use {quote(str(parsed))}")
    elif strict.version == 6 and str(strict) != text:
        out.append(f"{path}: IPv6 address {quote(text)} should be in RFC 5952 canonical format ({quote(str(strict))})")


def cidr(out: Texts, text: str, path: str) -> None:
    network = parse_cidr(text)
    address, _, length = text.partition("/")
    parsed, count = parse_sloppy(address), len(out)
    if network is None or parsed is None:
        return
    if parsed != network.network_address:
        one = f"{parsed}/{network.max_prefixlen}"
        out.append(f"{path}: CIDR value {quote(text)} is ambiguous in this context (should be {quote(str(network))} or {quote(one)}?)")
    strict = _strict(address)
    if strict is None or strict != parsed or (len(length) > 1 and length.startswith("0")):
        out.append(f"{path}: non-standard CIDR value {quote(text)} is invalid: use {quote(str(network))}")
    if len(out) == count and network.version == 6 and str(network) != text:
        out.append(f"{path}: IPv6 CIDR value {quote(text)} should be in RFC 5952 canonical format ({quote(str(network))})")
