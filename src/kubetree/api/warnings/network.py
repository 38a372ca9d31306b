"""Warnings about services, endpoints, ingresses and network policies."""

from __future__ import annotations

from typing import Any

from kubetree.api.kinds import Kind
from kubetree.api.validation.errors import quote
from kubetree.api.warnings.values import Texts, cidr, ip

Thing = dict[str, Any]
_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_INGRESS_CLASS = "kubernetes.io/ingress.class"
_SLICE_WRITERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")


def service(out: Texts, obj: Thing, old: Thing | None) -> None:
    spec, sort = obj.get("spec") or {}, (obj.get("spec") or {}).get("type")
    external, headless = spec.get("externalIPs") or (), sort == "ClusterIP" and spec.get("clusterIP") == "None"
    if _HINTS in (obj["metadata"].get("annotations") or ()):
        out.append(f"annotation {_HINTS} is deprecated, please use {_MODE} instead")
    if sort != "ExternalName" and spec.get("clusterIP") not in (None, "", "None"):
        for i, address in enumerate(spec.get("clusterIPs") or ()):
            ip(out, address, f"spec.clusterIPs[{i}]")
    if headless:
        if spec.get("loadBalancerIP"):
            out.append("spec.loadBalancerIP is ignored for headless services")
        if external:
            out.append("spec.externalIPs is ignored for headless services")
        if spec.get("sessionAffinity") != "None":
            out.append("spec.SessionAffinity is ignored for headless services")
    for i, address in enumerate(external):
        ip(out, address, f"spec.externalIPs[{i}]")
    if external and not headless and sort != "ExternalName":
        out.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.get("loadBalancerIP"):
        ip(out, spec["loadBalancerIP"], "spec.loadBalancerIP")
    for i, block in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        cidr(out, block, f"spec.loadBalancerSourceRanges[{i}]")
    if sort == "ExternalName" and external:
        out.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if sort != "ExternalName" and spec.get("externalName"):
        out.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        out.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')


def endpoints(out: Texts, obj: Thing, old: Thing | None) -> None:
    if (obj["metadata"].get("labels") or {}).get("endpoints.kubernetes.io/managed-by") == "endpoint-controller":
        return
    for i, subset in enumerate(obj.get("subsets") or ()):
        for field in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(subset.get(field) or ()):
                ip(out, address.get("ip") or "", f"subsets[{i}].{field}[{j}].ip")


def endpoint_slice(out: Texts, obj: Thing, old: Thing | None) -> None:
    if old is None and obj.get("addressType") == "FQDN":
        out.append("spec.addressType: FQDN endpoints are deprecated")
    if (obj["metadata"].get("labels") or {}).get("endpointslice.kubernetes.io/managed-by") in _SLICE_WRITERS:
        return
    for i, endpoint in enumerate(obj.get("endpoints") or ()):
        for j, address in enumerate(endpoint.get("addresses") or ()):
            ip(out, address, f"endpoints[{i}].addresses[{j}]")


def ingress(out: Texts, obj: Thing, old: Thing | None) -> None:
    annotated = _INGRESS_CLASS in (obj["metadata"].get("annotations") or ())
    if old is None and annotated and (obj.get("spec") or {}).get("ingressClassName") is None:
        out.append(f"annotation {quote(_INGRESS_CLASS)} is deprecated, please use 'spec.ingressClassName' instead")


def network_policy(out: Texts, obj: Thing, old: Thing | None) -> None:
    spec = obj.get("spec") or {}
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(direction) or ()):
            for j, peer in enumerate(rule.get(peers) or ()):
                block, at = peer.get("ipBlock"), f"spec.{direction}[{i}].{peers}[{j}].ipBlock"
                if block is None:
                    continue
                cidr(out, block.get("cidr") or "", f"{at}.cidr")
                for k, part in enumerate(block.get("except") or ()):
                    cidr(out, part, f"{at}.except[{k}]")


def status(out: Texts, kind: Kind, obj: Thing) -> None:
    """Addresses in the status of services, ingresses and pods."""
    found = obj.get("status") or {}
    if kind.kind in ("Service", "Ingress"):
        for i, entry in enumerate((found.get("loadBalancer") or {}).get("ingress") or ()):
            if entry.get("ip"):
                ip(out, entry["ip"], f"status.loadBalancer.ingress[{i}]")
    elif kind.kind == "Pod" and kind.group == "":
        for field in ("podIPs", "hostIPs"):
            for i, entry in enumerate(found.get(field) or ()):
                ip(out, entry.get("ip") or "", f"status.{field}[{i}].ip")
