"""How the linked fields of a Service follow from one another: cluster IPs, IP families, node ports kept over an update.

Pure. Follows pkg/registry/core/service/storage (normalizeClusterIPs, patchAllocatedValues, initIPFamilyFields).
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from kubetree.api.errors import Cause, Invalid, invalid
from kubetree.api.services import needs_cluster_ip, needs_health_check_node_port, needs_node_ports
from kubetree.api.validation.errors import quote, render
from kubetree.apiserver.allocators.ip_ranges import IPV4, IPV6, family_of

NONE = "None"
SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"

Object = dict[str, Any]


def is_headless(spec: Object) -> bool:
    """Whether it has no cluster IP, and asks for none."""
    return spec.get("clusterIP") == NONE or (spec.get("clusterIPs") or [""])[0] == NONE


def node_ports(spec: Object) -> list[int]:
    """Those that stand in the ports, in their order."""
    return [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]


def normalize_cluster_ips(new: Object, old: Object | None) -> None:
    """Makes clusterIPs follow clusterIP for clients that know only the one."""
    single, several = new.get("clusterIP") or "", new.get("clusterIPs") or []
    if old is None:
        if single and not several:
            new["clusterIPs"] = [single]
        return
    before, all_before = old.get("clusterIP") or "", old.get("clusterIPs") or []
    if all_before and not several and before == single:
        new["clusterIPs"] = several = list(all_before)
    if before != single and several == all_before:
        if before and not single:
            new.pop("clusterIPs", None)
        else:
            new["clusterIPs"] = [single]


def keep_allocated(new: Object, old: Object) -> None:
    """Fills in what was allocated before and the client left out, so that the same manifest can be sent again."""
    if needs_cluster_ip(old) and needs_cluster_ip(new):
        if not new.get("clusterIP") and old.get("clusterIP"):
            new["clusterIP"] = old["clusterIP"]
        if not new.get("clusterIPs") and old.get("clusterIPs"):
            new["clusterIPs"] = list(old["clusterIPs"])
    if needs_node_ports(old) and needs_node_ports(new):
        used = set(node_ports(old)) & set(node_ports(new))
        known = {port.get("name", ""): port.get("nodePort") or 0 for port in old.get("ports") or ()}
        for port in new.get("ports") or ():
            before = known.get(port.get("name", ""), 0)
            if not port.get("nodePort") and before and before not in used:
                port["nodePort"] = before
    if (
        needs_health_check_node_port(old)
        and needs_health_check_node_port(new)
        and not new.get("healthCheckNodePort")
        and old.get("healthCheckNodePort")
    ):
        new["healthCheckNodePort"] = old["healthCheckNodePort"]


def init_ip_families(service: Object, old: Object | None, families: Sequence[str]) -> None:
    """Settles ipFamilyPolicy and ipFamilies. `families` are those of the cluster, the default first. Raises Invalid."""
    spec, before = service["spec"], (old or {}).get("spec")
    if not needs_cluster_ip(spec) or _unchanged_dual(spec, before):
        return
    if spec.get("ipFamilyPolicy") is None:
        if before is not None and before.get("ipFamilyPolicy"):
            spec["ipFamilyPolicy"] = before["ipFamilyPolicy"]
        elif spec.get("clusterIP") == NONE and not spec.get("selector"):
            spec["ipFamilyPolicy"] = REQUIRE
        else:
            spec["ipFamilyPolicy"] = SINGLE
    _refuse(service, _related_fields(spec))
    causes = _policy_changes(spec, before) if before is not None else []
    _refuse(service, causes + _policy_fits(spec) + _infer_families(spec, families))
    if spec.get("clusterIP") == NONE and not spec.get("selector"):
        _headless_families(spec, families)
        return
    causes = []
    policy = spec["ipFamilyPolicy"]
    if policy == REQUIRE and len(families) < 2:
        causes.append(_invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services"))
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in families:
            causes.append(_invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster"))
    _refuse(service, causes)
    if not spec.get("ipFamilies"):
        spec["ipFamilies"] = [families[0]]
    if policy != SINGLE and len(spec["ipFamilies"]) == 1 and len(families) == 2:
        spec["ipFamilies"] = [*spec["ipFamilies"], _other(spec["ipFamilies"][0])]


def _unchanged_dual(spec: Object, before: Object | None) -> bool:
    """A PreferDualStack service changes its addresses only when it is asked to."""
    if before is None or spec.get("ipFamilyPolicy") != PREFER or before.get("ipFamilyPolicy") != PREFER:
        return False
    if spec.get("type") == "ExternalName" or before.get("type") == "ExternalName":
        return False
    return all((spec.get(field) or []) == (before.get(field) or []) for field in ("clusterIPs", "ipFamilies"))


def _related_fields(spec: Object) -> list[Cause]:
    causes = []
    single, several = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if single and not several:
        causes.append(Cause("FieldValueRequired", "Required value", "spec.clusterIPs"))
    elif single and several[0] != single:
        causes.append(_invalid("spec.clusterIPs", several, "first value must match `clusterIP`"))
    elif several and not single:
        causes.append(_invalid("spec.clusterIPs", several, "must be empty when `clusterIP` is not specified"))
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        if family not in (IPV4, IPV6):
            causes.append(_unsupported(f"spec.ipFamilies[{index}]", family, (IPV4, IPV6)))
        if family in families[:index]:
            causes.append(Cause("FieldValueDuplicate", f"Duplicate value: {quote(family)}", f"spec.ipFamilies[{index}]"))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in (SINGLE, PREFER, REQUIRE):
        causes.append(_unsupported("spec.ipFamilyPolicy", policy, (PREFER, REQUIRE, SINGLE)))
    return causes + _addresses(several, families, headless=is_headless(spec))


def _addresses(several: list[str], families: list[str], *, headless: bool) -> list[Cause]:
    causes: list[Cause] = []
    for index, address in enumerate(several):
        if index == 0 and address == NONE:
            if len(several) > 1:
                causes.append(_invalid("spec.clusterIPs", several, "'None' must be the first and only value"))
        elif not _is_address(address):
            causes.append(_invalid(f"spec.clusterIPs[{index}]", address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"))
    if len(several) > 2:
        causes.append(_invalid("spec.clusterIPs", several, "may only hold up to 2 values"))
    if causes or headless:
        return causes
    found = [family_of(address) for address in several]
    if len(found) > 1 and len(set(found)) != len(found):
        causes.append(_invalid("spec.clusterIPs", several, "may specify no more than one IP for each IP family"))
    for index, (address, family, stated) in enumerate(zip(several, found, families, strict=False)):
        if family != stated:
            detail = f"expected an {stated} value as indicated by `ipFamilies[{index}]`"
            causes.append(_invalid(f"spec.clusterIPs[{index}]", address, detail))
    return causes


def _policy_changes(spec: Object, before: Object) -> list[Cause]:
    causes: list[Cause] = []
    fields = (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family"))
    for field, label in fields:
        new, old = spec.get(field) or [], before.get(field) or []
        if spec["ipFamilyPolicy"] == SINGLE:
            if new == old and len(new) > 1:
                spec[field] = new[:1]
        elif new and len(new) < len(old):
            detail = f"must be 'SingleStack' to release the secondary {label}"
            causes.append(_invalid("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], detail))
    return causes


def _policy_fits(spec: Object) -> list[Cause]:
    if spec["ipFamilyPolicy"] != SINGLE:
        return []
    return [
        _invalid("spec.ipFamilyPolicy", SINGLE, f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {label} are specified")
        for field, label in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families"))
        if len(spec.get(field) or ()) == 2
    ]


def _infer_families(spec: Object, available: Sequence[str]) -> list[Cause]:
    causes, families = [], list(spec.get("ipFamilies") or ())
    for index, address in enumerate(spec.get("clusterIPs") or ()):
        if address == NONE:
            break
        if index < len(families):
            continue
        family = family_of(address)
        if family not in available:
            detail = f"{family} is not configured on this cluster"
            causes.append(_invalid(f"spec.clusterIPs[{index}]", spec["clusterIPs"], detail))
        else:
            families.append(family)
    if families:
        spec["ipFamilies"] = families
    return causes


def _headless_families(spec: Object, available: Sequence[str]) -> None:
    families = list(spec.get("ipFamilies") or [available[0]])
    if len(families) < 2 and spec["ipFamilyPolicy"] != SINGLE:
        families.append(_other(families[0]))
    spec["ipFamilies"] = families


def _other(family: str) -> str:
    return IPV6 if family == IPV4 else IPV4


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _invalid(field: str, value: Any, detail: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {render(value)}: {detail}", field)


def _unsupported(field: str, value: str, supported: Sequence[str]) -> Cause:
    choices = ", ".join(map(quote, supported))
    return Cause("FieldValueNotSupported", f"Unsupported value: {quote(value)}: supported values: {choices}", field)


def _refuse(service: Object, causes: list[Cause]) -> None:
    if causes:
        raise invalid("Service", "", service["metadata"].get("name", ""), causes)


def invalid_field(service: Object, field: str, value: Any, detail: str) -> Invalid:
    """A Service refused for one field."""
    return invalid("Service", "", service["metadata"].get("name", ""), [_invalid(field, value, detail)])
