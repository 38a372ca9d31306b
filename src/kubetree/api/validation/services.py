"""Services: ports, addresses, types, and what of them may never change."""

from __future__ import annotations

from typing import Any

from kubetree.api.defaults.networking import externally_accessible
from kubetree.api.services import needs_health_check_node_port
from kubetree.api.validation.addresses import dual_stack, endpoint_ip, legacy_cidr, legacy_ip, parse_sloppy
from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_supported, one_of, required
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.intstr import port as port_or_name
from kubetree.api.validation.metadata import labels
from kubetree.api.validation.names import dns_label, dns_subdomain, label_key, port_number

Service = dict[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_FAMILIES, _POLICIES = ("IPv4", "IPv6"), ("PreferDualStack", "RequireDualStack", "SingleStack")
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_LOAD_BALANCER_ONLY = "may only be used when `type` is 'LoadBalancer'"


def _headless(spec: Object) -> bool:
    return spec.get("clusterIPs") == ["None"]


def _port(errs: Errors, port: Object, path: str, many: bool, names: set[str]) -> None:
    name, number = port.get("name"), port.get("port") or 0
    if not name:
        if many:
            errs.append(required(f"{path}.name"))
    else:
        each(errs, f"{path}.name", name, dns_label(name))
        if name in names:
            errs.append(duplicate(f"{path}.name", name))
        names.add(name)
    each(errs, f"{path}.port", number, port_number(number))
    one_of(errs, port.get("protocol"), PROTOCOLS, f"{path}.protocol")
    port_or_name(errs, port.get("targetPort"), f"{path}.targetPort")
    if port.get("appProtocol") is not None:
        each(errs, f"{path}.appProtocol", port["appProtocol"], label_key(port["appProtocol"]))


def _ports(errs: Errors, spec: Object) -> None:
    ports = spec.get("ports") or ()
    names: set[str] = set()
    for i, port in enumerate(ports):
        _port(errs, port, f"spec.ports[{i}]", len(ports) > 1, names)
    node_ports: set[tuple[Any, int]] = set()
    used: set[tuple[Any, Any]] = set()
    for i, port in enumerate(ports):
        number, protocol = port.get("nodePort") or 0, port.get("protocol")
        if number:
            if spec.get("type") == "ClusterIP":
                errs.append(forbidden(f"spec.ports[{i}].nodePort", "may not be used when `type` is 'ClusterIP'"))
            if (protocol, number) in node_ports:
                errs.append(duplicate(f"spec.ports[{i}].nodePort", number))
            node_ports.add((protocol, number))
        key = (protocol, port.get("port"))
        if key in used:
            shown = go_struct("core.ServicePort", {"port": port.get("port"), "protocol": protocol})
            errs.append(duplicate(f"spec.ports[{i}]", shown))
        used.add(key)


def _external_name(errs: Errors, spec: Object) -> None:
    for name in ("clusterIPs", "ipFamilies"):
        if spec.get(name):
            errs.append(forbidden(f"spec.{name}", "may not be set for ExternalName services"))
    if spec.get("ipFamilyPolicy") is not None:
        errs.append(forbidden("spec.ipFamilyPolicy", "may not be set for ExternalName services"))
    name = (spec.get("externalName") or "").removesuffix(".")
    if name:
        each(errs, "spec.externalName", name, dns_subdomain(name))
    else:
        errs.append(required("spec.externalName"))


def _affinity(errs: Errors, spec: Object) -> None:
    affinity, config, path = spec.get("sessionAffinity"), spec.get("sessionAffinityConfig"), "spec.sessionAffinityConfig"
    one_of(errs, affinity, ("ClientIP", "None"), "spec.sessionAffinity")
    if affinity == "None" and config is not None:
        errs.append(forbidden(path, "must not be set when session affinity is None"))
    if affinity != "ClientIP":
        return
    detail = "when session affinity type is ClientIP"
    if config is None:
        errs.append(required(path, detail))
    elif config.get("clientIP") is None:
        errs.append(required(f"{path}.clientIP", detail))
    else:
        seconds, at = config["clientIP"].get("timeoutSeconds"), f"{path}.clientIP.timeoutSeconds"
        if seconds is None:
            errs.append(required(at, detail))
        elif not 0 < seconds <= 86400:
            errs.append(invalid(at, seconds, "must be greater than 0 and less than 86400"))


def _cluster_ips(errs: Errors, spec: Object, old: Object | None) -> None:
    path, first, addresses = "spec.clusterIPs", spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    families = spec.get("ipFamilies") or ()
    if first:
        if not addresses:
            errs.append(required(path))
        elif addresses[0] != first:
            errs.append(invalid(path, addresses, "first value must match `clusterIP`"))
    elif addresses:
        errs.append(invalid(path, addresses, "must be empty when `clusterIP` is not specified"))
    seen: set[str] = set()
    for i, family in enumerate(families):
        if family not in _FAMILIES:
            errs.append(not_supported(f"spec.ipFamilies[{i}]", family, _FAMILIES))
        if family in seen:
            errs.append(duplicate(f"spec.ipFamilies[{i}]", family))
        seen.add(family)
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _POLICIES:
        errs.append(not_supported("spec.ipFamilyPolicy", policy, _POLICIES))
    count, known = len(errs), (old or {}).get("clusterIPs") or ()
    for i, address in enumerate(addresses):
        if i == 0 and address == "None":
            if len(addresses) > 1:
                errs.append(invalid(path, addresses, "'None' must be the first and only value"))
            continue
        legacy_ip(errs, address, f"{path}[{i}]", known)
    broken = len(errs) > count
    if len(addresses) > 2:
        errs.append(invalid(path, addresses, "may only hold up to 2 values"))
    if broken:
        return
    if len(addresses) > 1 and not dual_stack(addresses):
        errs.append(invalid(path, addresses, "may specify no more than one IP for each IP family"))
    if not _headless(spec):
        for i, (address, family) in enumerate(zip(addresses, families, strict=False)):
            parsed = parse_sloppy(address)
            version = 6 if parsed is not None and parsed.version == 6 else 4
            if family in _FAMILIES and f"IPv{version}" != family:
                errs.append(invalid(f"{path}[{i}]", address, f"expected an {family} value as indicated by `ipFamilies[{i}]`"))


def _source_ranges(errs: Errors, service: Service, spec: Object, old: Service | None) -> None:
    ranges, balanced = spec.get("loadBalancerSourceRanges"), spec.get("type") == "LoadBalancer"
    if ranges:
        path = "spec.LoadBalancerSourceRanges"
        if not balanced:
            errs.append(forbidden(path, _LOAD_BALANCER_ONLY))
        known = [r.strip() for r in ((old or {}).get("spec") or {}).get("loadBalancerSourceRanges") or ()]
        for i, text in enumerate(ranges):
            legacy_cidr(errs, text.strip(), f"{path}[{i}]", known)
        return
    text = (service["metadata"].get("annotations") or {}).get(_SOURCE_RANGES)
    if text is not None:
        path = f"metadata.annotations[{_SOURCE_RANGES}]"
        if not balanced:
            errs.append(forbidden(path, _LOAD_BALANCER_ONLY))
        before = (old["metadata"].get("annotations") or {}).get(_SOURCE_RANGES) if old else None
        if before != text and text.strip():
            for part in text.split(","):
                legacy_cidr(errs, part.strip(), path)


def _traffic(errs: Errors, spec: Object) -> None:
    policy, path = spec.get("externalTrafficPolicy") or "", "spec.externalTrafficPolicy"
    if not externally_accessible(dict(spec)):
        if policy:
            errs.append(invalid(path, policy, "may only be set for externally-accessible services"))
    else:
        one_of(errs, policy, ("Cluster", "Local"), path)
    number, path = spec.get("healthCheckNodePort") or 0, "spec.healthCheckNodePort"
    if not needs_health_check_node_port(spec):
        if number:
            detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            errs.append(invalid(path, number, detail))
    elif not number:
        errs.append(required(path))
    else:
        each(errs, path, number, port_number(number))
    internal = spec.get("internalTrafficPolicy")
    if internal is None:
        if spec.get("type") in ("NodePort", "LoadBalancer", "ClusterIP"):
            errs.append(required("spec.internalTrafficPolicy"))
    elif internal not in ("Cluster", "Local"):
        errs.append(not_supported("spec.internalTrafficPolicy", internal, ("Cluster", "Local")))
    distribution, allowed = spec.get("trafficDistribution"), ("PreferClose", "PreferSameZone", "PreferSameNode")
    if distribution is not None and distribution not in allowed:
        errs.append(not_supported("spec.trafficDistribution", distribution, allowed))


def _balancer_class(errs: Errors, spec: Object) -> None:
    value, path = spec.get("loadBalancerClass"), "spec.loadBalancerClass"
    if value is not None:
        if spec.get("type") == "LoadBalancer":
            each(errs, path, value, label_key(value))
        else:
            errs.append(forbidden(path, _LOAD_BALANCER_ONLY))


def _service(errs: Errors, service: Service, old: Service | None) -> None:
    spec, notes = service.get("spec") or {}, service["metadata"].get("annotations") or {}
    if _MODE in notes and _HINTS in notes and notes[_MODE] != notes[_HINTS]:
        detail = f"must match annotations[{_HINTS}] when both are specified"
        errs.append(invalid(f"metadata.annotations[{_MODE}]", notes[_MODE], detail))
    sort = spec.get("type")
    if not spec.get("ports") and not _headless(spec) and sort != "ExternalName":
        errs.append(required("spec.ports"))
    if sort in ("LoadBalancer", "NodePort") and _headless(spec):
        errs.append(invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {sort} services"))
    if sort == "ExternalName":
        _external_name(errs, spec)
    _ports(errs, spec)
    labels(errs, spec.get("selector"), "spec.selector")
    _affinity(errs, spec)
    if sort != "ExternalName":
        _cluster_ips(errs, spec, (old or {}).get("spec"))
    known = ((old or {}).get("spec") or {}).get("externalIPs") or ()
    for i, address in enumerate(spec.get("externalIPs") or ()):
        count = len(errs)
        legacy_ip(errs, address, f"spec.externalIPs[{i}]", known)
        if len(errs) == count:
            endpoint_ip(errs, address, f"spec.externalIPs[{i}]")
    one_of(errs, sort, _TYPES, "spec.type")
    _source_ranges(errs, service, spec, old)
    allocate = spec.get("allocateLoadBalancerNodePorts")
    if allocate is not None and sort != "LoadBalancer":
        errs.append(forbidden("spec.allocateLoadBalancerNodePorts", _LOAD_BALANCER_ONLY))
    if allocate is None and sort == "LoadBalancer":
        errs.append(required("allocateLoadBalancerNodePorts"))
    _balancer_class(errs, spec)
    _traffic(errs, spec)


def create(errs: Errors, service: Service) -> None:
    """`spec.clusterIPs` must have been allocated or derived from clusterIP already."""
    _service(errs, service, None)


def _changed_list(errs: Errors, new: Object, old: Object, field: str) -> None:
    """clusterIPs or ipFamilies: the first never changes, a second may come and go."""
    path, after, before = f"spec.{field}", new.get(field) or [], old.get(field) or []
    what = "clusterIP" if field == "clusterIPs" else "ipFamily"
    once = "may not change once set"
    if len(before) == len(after):
        for i, (a, b) in enumerate(zip(after, before, strict=True)):
            if a != b:
                errs.append(invalid(f"{path}[{i if field == 'clusterIPs' else 0}]", after, once))
    elif len(before) > len(after):
        addresses = new.get("clusterIPs") or []
        if not addresses:
            errs.append(invalid(f"{path}[0]", after, f"primary {what} can not be unset"))
        if after and after[0] != before[0]:
            errs.append(invalid(f"{path}[0]", addresses, once))
        if len(after) == 1 and new.get("ipFamilyPolicy") != "SingleStack":
            detail = f"must be set to 'SingleStack' when releasing the secondary {what}"
            errs.append(invalid("spec.ipFamilyPolicy", new.get("ipFamilyPolicy"), detail))
    elif before and after[0] != before[0]:
        errs.append(invalid(f"{path}[0]", new.get("clusterIPs") or [], once))


def update(errs: Errors, new: Service, old: Service) -> None:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if "ExternalName" not in (after.get("type"), before.get("type")):
        if not (_headless(after) and _headless(before)):
            _changed_list(errs, after, before, "clusterIPs")
        if not _headless(after) and not _headless(before):
            _changed_list(errs, after, before, "ipFamilies")
    if after.get("type") == before.get("type") == "LoadBalancer" and after.get("loadBalancerClass") != before.get("loadBalancerClass"):
        errs.append(invalid("spec.loadBalancerClass", after.get("loadBalancerClass"), "may not change once set"))
    _balancer_class(errs, after)  # upstream asks again with the rest
    checked = needs_health_check_node_port(before) and needs_health_check_node_port(after)
    if checked and after.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
        errs.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    _service(errs, new, old)


def load_balancer_status(errs: Errors, status: Object, was: Object, balanced: bool) -> None:
    path, entries = "status.loadBalancer.ingress", status.get("ingress") or ()
    if entries and not balanced:
        errs.append(forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'"))
        return
    known = [e.get("ip") for e in was.get("ingress") or () if e.get("ip")]
    for i, entry in enumerate(entries):
        at, address, mode, host = f"{path}[{i}]", entry.get("ip") or "", entry.get("ipMode"), entry.get("hostname") or ""
        if address:
            legacy_ip(errs, address, f"{at}.ip", known)
        if mode is None:
            if address:
                errs.append(required(f"{at}.ipMode", "must be specified when `ip` is set"))
        elif not address:
            errs.append(forbidden(f"{at}.ipMode", "may not be specified when `ip` is not set"))
        elif mode not in ("Proxy", "VIP"):
            errs.append(not_supported(f"{at}.ipMode", mode, ("Proxy", "VIP")))
        if host:
            each(errs, f"{at}.hostname", host, dns_subdomain(host))
            if parse_sloppy(host) is not None:
                errs.append(invalid(f"{at}.hostname", host, "must be a DNS name, not an IP address"))


def status(errs: Errors, new: Service, old: Service) -> None:
    after = (new.get("status") or {}).get("loadBalancer") or {}
    before = (old.get("status") or {}).get("loadBalancer") or {}
    load_balancer_status(errs, after, before, (new.get("spec") or {}).get("type") == "LoadBalancer")
