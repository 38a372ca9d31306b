"""Claims on devices, their templates, their allocation; classes of devices."""

from __future__ import annotations

import re
from typing import Any

from kubetree.api.validation.devices.parts import (
    MOST_REQUESTS,
    binding_conditions,
    configuration,
    driver_name,
    items,
    label,
    pool_name,
    qualified_name,
    raw_object,
    selectors,
    tolerations,
    unique,
)
from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_supported, required, too_long, too_many
from kubetree.api.validation.metadata import annotation_map, conditions, immutable, labels
from kubetree.api.validation.names import dns_label, dns_subdomain
from kubetree.api.validation.pods.scheduling import node_selector
from kubetree.api.validation.pods.volumes import only_labels_and_annotations
from kubetree.api.validation.resources import is_extended

Thing = dict[str, Any]
_UID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REFERENCE = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
_ONE = "exactly one of `exactly` or `firstAvailable` is required"
_SOURCES = ("FromClaim", "FromClass")


def claim(errs: Errors, obj: Thing) -> None:
    _claim_spec(errs, obj.get("spec") or {}, "spec")


def claim_update(errs: Errors, new: Thing, old: Thing) -> None:
    """What may not change at all is not looked at any further."""
    count = len(errs)
    immutable(errs, new.get("spec"), old.get("spec"), "spec", struct="resource.ResourceClaimSpec")
    if len(errs) == count:
        _claim_spec(errs, new.get("spec") or {}, "spec")


def template(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    metadata = spec.get("metadata") or {}
    annotation_map(errs, metadata.get("annotations"), "spec.metadata.annotations")
    labels(errs, metadata.get("labels"), "spec.metadata.labels")
    only_labels_and_annotations(errs, metadata, "spec.metadata")
    _claim_spec(errs, spec.get("spec") or {}, "spec.spec")


def template_update(errs: Errors, new: Thing, old: Thing) -> None:
    immutable(errs, new.get("spec"), old.get("spec"), "spec", struct="resource.ResourceClaimTemplateSpec")


def device_class(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    selectors(errs, spec.get("selectors"), "spec.selectors")
    items(errs, spec.get("config"), 32, configuration, "spec.config")
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        errs.append(invalid("spec.extendedResourceName", name, "must be a valid extended resource name"))


def _requests(devices: Object) -> set[str]:
    """The names that may be referred to: `request` and `request/subrequest`."""
    names: set[str] = set()
    for request in devices.get("requests") or ():
        name = request.get("name") or ""
        names.add(name)
        names.update(f"{name}/{sub.get('name') or ''}" for sub in request.get("firstAvailable") or ())
    return names


def _reference(names: set[str]) -> Any:
    def check(errs: Errors, name: str, path: str) -> None:
        parts = name.split("/")
        if len(parts) > 2:
            errs.append(invalid(path, name, _REFERENCE))
            return
        for part in parts:
            each(errs, path, part, dns_label(part))
        if name not in names:
            errs.append(invalid(path, name, _REFERENCE))

    return check


def _name(thing: Object) -> str:
    return thing.get("name") or ""


def _itself(name: str) -> str:
    return name


def _claim_spec(errs: Errors, spec: Object, path: str) -> None:
    devices, at = spec.get("devices") or {}, f"{path}.devices"
    reference = _reference(_requests(devices))

    def constraint(errs: Errors, value: Object, where: str) -> None:
        unique(errs, value.get("requests"), MOST_REQUESTS, reference, _itself, f"{where}.requests")
        for field in ("matchAttribute", "distinctAttribute"):
            if value.get(field) is not None:
                qualified_name(errs, value[field], f"{where}.{field}", fully=True)
                return
        detail = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
        errs.append(required(where, detail))

    def config(errs: Errors, value: Object, where: str) -> None:
        unique(errs, value.get("requests"), MOST_REQUESTS, reference, _itself, f"{where}.requests")
        configuration(errs, value, where)

    unique(errs, devices.get("requests"), MOST_REQUESTS, _request, _name, f"{at}.requests")
    items(errs, devices.get("constraints"), 32, constraint, f"{at}.constraints")
    items(errs, devices.get("config"), 32, config, f"{at}.config")


def _request(errs: Errors, request: Object, path: str) -> None:
    label(errs, _name(request), f"{path}.name")
    exactly, first = request.get("exactly"), request.get("firstAvailable")
    if exactly is None and not first:
        errs.append(required(path, _ONE))
    elif exactly is not None and first:
        errs.append(invalid(path, None, f"{_ONE}, but multiple fields are set"))
    elif first:
        unique(errs, first, 8, _sub_request, _name, f"{path}.firstAvailable")
    else:
        _wanted(errs, exactly or {}, f"{path}.exactly")


def _sub_request(errs: Errors, request: Object, path: str) -> None:
    label(errs, _name(request), f"{path}.name")
    _wanted(errs, request, path)


def _wanted(errs: Errors, request: Object, path: str) -> None:
    name, mode, count = request.get("deviceClassName") or "", request.get("allocationMode") or "", request.get("count") or 0
    if not name:
        errs.append(required(f"{path}.deviceClassName"))
    else:
        each(errs, f"{path}.deviceClassName", name, dns_subdomain(name))
    selectors(errs, request.get("selectors"), f"{path}.selectors")
    if mode == "All":
        if count:
            errs.append(invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'"))
    elif mode == "ExactCount":
        if count <= 0:
            errs.append(invalid(f"{path}.count", count, "must be greater than zero"))
    else:
        errs.append(not_supported(f"{path}.allocationMode", mode, ("All", "ExactCount")))
    tolerations(errs, request.get("tolerations"), f"{path}.tolerations")


def claim_status(errs: Errors, new: Thing, old: Thing) -> None:
    status, before = new.get("status") or {}, old.get("status") or {}
    allocation, earlier = status.get("allocation"), before.get("allocation")
    reserved, deleted = status.get("reservedFor") or [], new["metadata"].get("deletionTimestamp") is not None
    unique(errs, reserved, 256, _consumer, lambda c: c.get("uid"), "status.reservedFor")
    devices = [_device(result) for result in ((allocation or {}).get("devices") or {}).get("results") or ()]

    def device_status(errs: Errors, value: Object, path: str) -> None:
        _device_status(errs, value, path, _device(value) in devices)

    unique(errs, status.get("devices"), -1, device_status, _device, "status.devices")
    if reserved and allocation is None:
        errs.append(forbidden("status.reservedFor", "may not be specified when `allocated` is not set"))
    elif reserved and deleted and any(c not in (before.get("reservedFor") or ()) for c in reserved):
        detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        errs.append(forbidden("status.reservedFor", detail))
    if allocation is None:
        return
    if earlier is not None:
        immutable(errs, allocation, earlier, "status.allocation", struct="resource.AllocationResult")
    else:
        _allocation(
            errs,
            allocation,
            _requests((new.get("spec") or {}).get("devices") or {}),
            "status.allocation",
        )


def _device(result: Object) -> tuple[str, str, str, str]:
    return result.get("driver") or "", result.get("pool") or "", result.get("device") or "", result.get("shareID") or ""


def _consumer(errs: Errors, reference: Object, path: str) -> None:
    for field in ("resource", "name", "uid"):
        if not reference.get(field):
            errs.append(required(f"{path}.{field}"))


def _share(errs: Errors, uid: str | None, path: str) -> None:
    if uid is not None and not _UID.fullmatch(uid):
        form = "`xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters"
        errs.append(invalid(path, uid, f"uid must be in RFC 4122 normalized form, {form}"))


def _device_names(errs: Errors, result: Object, path: str) -> None:
    driver_name(errs, result.get("driver") or "", f"{path}.driver")
    pool_name(errs, result.get("pool") or "", f"{path}.pool")
    label(errs, result.get("device") or "", f"{path}.device")


def _device_status(errs: Errors, value: Object, path: str, allocated: bool) -> None:
    _device_names(errs, value, path)
    _share(errs, value.get("shareID"), f"{path}.shareID")
    if not allocated:
        shown = {"Driver": value.get("driver"), "Pool": value.get("pool"), "Device": value.get("device"), "ShareID": value.get("shareID")}
        errs.append(invalid(path, shown, "must be an allocated device in the claim"))
    if len(value.get("conditions") or ()) > 8:
        errs.append(too_many(f"{path}.conditions", len(value["conditions"]), 8))
    conditions(errs, value.get("conditions"), f"{path}.conditions")
    if value.get("data") is not None:
        raw_object(errs, value["data"], f"{path}.data")
    network, at = value.get("networkData") or {}, f"{path}.networkData"
    for field, limit in (("interfaceName", 256), ("hardwareAddress", 128)):
        if len(network.get(field) or "") > limit:
            errs.append(too_long(f"{at}.{field}", limit))
    addresses = network.get("ips") or ()
    if len(addresses) > 16:
        errs.append(too_many(f"{at}.ips", len(addresses), 16))
    for i, address in enumerate(addresses):
        if address in addresses[:i]:
            errs.append(duplicate(f"{at}.ips[{i}]", address))


def _allocation(errs: Errors, allocation: Object, names: set[str], path: str) -> None:
    devices, at, reference = allocation.get("devices") or {}, f"{path}.devices", _reference(names)

    def result(errs: Errors, value: Object, where: str) -> None:
        reference(errs, value.get("request") or "", f"{where}.request")
        _device_names(errs, value, where)
        binding_conditions(errs, value, where)
        _share(errs, value.get("shareID"), f"{where}.shareID")

    def config(errs: Errors, value: Object, where: str) -> None:
        source = value.get("source") or ""
        if not source:
            errs.append(required(f"{where}.source"))
        elif source not in _SOURCES:
            errs.append(not_supported(f"{where}.source", source, _SOURCES))
        unique(errs, value.get("requests"), MOST_REQUESTS, reference, _itself, f"{where}.requests")
        configuration(errs, value, where)

    items(errs, devices.get("results"), 32, result, f"{at}.results")
    items(errs, devices.get("config"), 64, config, f"{at}.config")
    if allocation.get("nodeSelector") is not None:
        node_selector(errs, allocation["nodeSelector"], f"{path}.nodeSelector")
