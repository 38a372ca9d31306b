"""IP addresses and CIDRs, with upstream's tolerance for old spellings and its strictness about new ones (StrictIPCIDRValidation)."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from kubetree.api.validation.errors import Errors, invalid, quote

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _without_leading_zeros(text: str) -> str:
    if ":" in text or "." not in text:
        return text
    return ".".join(part.lstrip("0") or "0" if part.isdigit() else part for part in text.split("."))


@lru_cache(maxsize=1 << 12)
def parse_sloppy(text: str) -> Address | None:
    """An address, leading zeros in IPv4 allowed; None for what is none. Zones are not addresses."""
    if "%" in text:
        return None
    try:
        parsed = ip_address(_without_leading_zeros(text))
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def _strict(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def legacy_ip(errs: Errors, text: str, path: str, known: Collection[str] = ()) -> Address | None:
    """An address in a field that once took looser spellings; what stood there before (`known`) may stay."""
    parsed = parse_sloppy(text)
    if text in known:
        return parsed
    if parsed is None:
        errs.append(invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"))
        return None
    strict = _strict(text)
    if strict is None:
        errs.append(invalid(path, text, "must not have leading 0s"))
        return None
    if isinstance(strict, IPv6Address) and strict.ipv4_mapped is not None:
        errs.append(invalid(path, text, "must not be an IPv4-mapped IPv6 address"))
        return None
    return parsed


def canonical_ip(errs: Errors, text: str, path: str) -> None:
    """An address in canonical form: what newer fields ask for."""
    count = len(errs)
    parsed = legacy_ip(errs, text, path)
    if len(errs) == count and str(parsed) != text:
        errs.append(invalid(path, text, f"must be in canonical form ({quote(str(parsed))})"))


def parse_cidr(text: str) -> Network | None:
    """A network; bits beyond the prefix and leading zeros are let through."""
    address, slash, length = text.partition("/")
    if not slash or not length.isdigit() or not length.isascii() or "%" in address:
        return None
    try:
        return ip_network(f"{_without_leading_zeros(address)}/{int(length)}", strict=False)
    except ValueError:
        return None


def legacy_cidr(errs: Errors, text: str, path: str, known: Collection[str] = ()) -> None:
    if text in known:
        return
    network = parse_cidr(text)
    if network is None:
        errs.append(invalid(path, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"))
        return
    address, _, length = text.partition("/")
    strict = _strict(address)
    if strict is None or (len(length) > 1 and length[0] == "0"):
        errs.append(invalid(path, text, "must not have leading 0s in IP or prefix length"))
    elif isinstance(strict, IPv6Address) and strict.ipv4_mapped is not None:
        errs.append(invalid(path, text, "must not have an IPv4-mapped IPv6 address"))
    elif strict != network.network_address:
        errs.append(invalid(path, text, "must not have bits set beyond the prefix length"))


def canonical_cidr(errs: Errors, text: str, path: str) -> None:
    count = len(errs)
    legacy_cidr(errs, text, path)
    if len(errs) == count and str(parse_cidr(text)) != text:
        errs.append(invalid(path, text, f"must be in canonical form ({quote(str(parse_cidr(text)))})"))


def dual_stack(texts: Collection[str]) -> bool:
    """One address at least of each family."""
    return {p.version for p in map(parse_sloppy, texts) if p is not None} == {4, 6}


def dual_stack_cidrs(texts: Collection[str]) -> bool:
    return {p.version for p in map(parse_cidr, texts) if p is not None} == {4, 6}


def endpoint_ip(errs: Errors, text: str, path: str) -> None:
    """An address that traffic may be sent to."""
    parsed = parse_sloppy(text)
    if parsed is None:
        errs.append(invalid(path, text, "must be a valid IP address"))
        return
    if parsed.is_unspecified:
        errs.append(invalid(path, text, f"may not be unspecified ({text})"))
    if parsed.is_loopback:
        errs.append(invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if parsed.is_link_local:
        errs.append(invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    if parsed in (_MULTICAST_4 if parsed.version == 4 else _MULTICAST_6):
        errs.append(invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"))


_MULTICAST_4, _MULTICAST_6 = IPv4Network("224.0.0.0/24"), IPv6Network("ff02::/16")
