"""Slices: what a driver publishes of the devices of a pool."""

from __future__ import annotations

import re
from typing import Any

from kubetree.api.quantities import Quantity
from kubetree.api.validation.devices.parts import (
    EFFECTS,
    binding_conditions,
    driver_name,
    items,
    label,
    pool_name,
    qualified_name,
    unique,
)
from kubetree.api.validation.errors import Errors, Object, each, forbidden, invalid, not_supported, required, too_long, too_many
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.metadata import immutable, label_name
from kubetree.api.validation.names import dns_subdomain, label_value
from kubetree.api.validation.pods.scheduling import node_selector
from kubetree.api.validation.resources import quantity

Thing = dict[str, Any]
_PRE = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_VERSION = re.compile(rf"(0|[1-9]\d*)(\.(0|[1-9]\d*)){{2}}(-{_PRE}(\.{_PRE})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?", re.ASCII)
_ONE_OF = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
_ONE_OF_DEVICE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the "
    "ResourceSlice spec"
)
_LISTS = ("bools", "ints", "strings", "versions")


def create(errs: Errors, obj: Thing) -> None:
    _spec(errs, obj.get("spec") or {})


def update(errs: Errors, new: Thing, old: Thing) -> None:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    _spec(errs, spec)
    immutable(errs, (spec.get("pool") or {}).get("name"), (before.get("pool") or {}).get("name"), "spec.pool.name")
    immutable(errs, spec.get("driver"), before.get("driver"), "spec.driver")
    immutable(errs, spec.get("nodeName"), before.get("nodeName"), "spec.nodeName")


def _flag(errs: Errors, parent: Object, field: str, path: str, found: list[str]) -> None:
    value = parent.get(field)
    if value:
        found.append(f"`{field}`")
    elif value is not None:
        errs.append(invalid(f"{path}.{field}", False, "must be either unset or set to true"))


def _spec(errs: Errors, spec: Object) -> None:
    driver_name(errs, spec.get("driver") or "", "spec.driver")
    pool = spec.get("pool") or {}
    pool_name(errs, pool.get("name") or "", "spec.pool.name")
    if (pool.get("resourceSliceCount") or 0) <= 0:
        errs.append(invalid("spec.pool.resourceSliceCount", pool.get("resourceSliceCount") or 0, "must be greater than zero"))
    if (pool.get("generation") or 0) < 0:
        errs.append(invalid("spec.pool.generation", pool["generation"], "must be greater than or equal to zero"))
    found = _nodes(errs, spec, "spec", "must be either unset or set to a non-empty string")
    terms = (spec.get("nodeSelector") or {}).get("nodeSelectorTerms")
    if spec.get("nodeSelector") is not None and len(terms or ()) != 1:
        errs.append(
            invalid(
                "spec.nodeSelector.nodeSelectorTerms", go_struct("core.NodeSelectorTerm", terms), "must have exactly one node selector term"
            )
        )
    _flag(errs, spec, "perDeviceNodeSelection", "spec", found)
    if not found:
        errs.append(required("spec", _ONE_OF))
    elif len(found) > 1:
        errs.append(invalid("spec", f"{{{', '.join(found)}}}", f"{_ONE_OF}, but multiple fields are set"))
    devices, counters = spec.get("devices"), spec.get("sharedCounters")
    if devices is not None and counters is not None:
        errs.append(invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    costly = any(d.get("taints") or d.get("consumesCounters") or _has_lists(d) for d in devices or ())
    own_nodes = bool(spec.get("perDeviceNodeSelection"))

    def device(errs: Errors, value: Object, path: str) -> None:
        _device(errs, value, path, own_nodes)

    unique(errs, devices, 64 if costly else 128, device, lambda d: d.get("name"), "spec.devices")
    unique(errs, counters, 8, _counter_set, lambda c: c.get("name"), "spec.sharedCounters")


def _nodes(errs: Errors, parent: Object, path: str, empty: str) -> list[str]:
    """Which of nodeName, nodeSelector and allNodes are set."""
    found: list[str] = []
    name = parent.get("nodeName")
    if name:
        found.append("`nodeName`")
        each(errs, f"{path}.nodeName", name, dns_subdomain(name))
    elif name is not None:
        errs.append(invalid(f"{path}.nodeName", name, empty))
    if parent.get("nodeSelector") is not None:
        found.append("`nodeSelector`")
        node_selector(errs, parent["nodeSelector"], f"{path}.nodeSelector")
    _flag(errs, parent, "allNodes", path, found)
    return found


def _has_lists(device: Object) -> bool:
    return any(attribute.get(name) is not None for attribute in (device.get("attributes") or {}).values() for name in _LISTS)


def _counters(errs: Errors, counters: Object | None, path: str) -> None:
    if not counters:
        errs.append(required(path))
    elif len(counters) > 32:
        errs.append(too_many(path, len(counters), 32))
    else:
        for name in counters:
            label(errs, name, path)


def _counter_set(errs: Errors, counter_set: Object, path: str) -> None:
    _counted(errs, counter_set.get("name"), f"{path}.name")
    _counters(errs, counter_set.get("counters"), f"{path}.counters")


def _consumption(errs: Errors, consumption: Object, path: str) -> None:
    _counted(errs, consumption.get("counterSet"), f"{path}.counterSet")
    _counters(errs, consumption.get("counters"), f"{path}.counters")


def _counted(errs: Errors, name: str | None, path: str) -> None:
    if name:
        label(errs, name, path)
    else:
        errs.append(required(path))


def _device(errs: Errors, device: Object, path: str, own_nodes: bool) -> None:
    label(errs, device.get("name") or "", f"{path}.name")
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    count = len(attributes) + len(capacity)
    if count > 32:
        errs.append(invalid(path, count, "the total number of attributes and capacities must not exceed 32"))
    values = sum(max(1, sum(len(a.get(name) or ()) for name in _LISTS)) for a in attributes.values())
    if values > 48:
        errs.append(invalid(path, values, "the total number of attribute values must not exceed 48"))
    for key, attribute in attributes.items():
        qualified_name(errs, key, f"{path}.attributes")
        _attribute(errs, attribute, f"{path}.attributes[{key}]")
    for key, amount in capacity.items():
        qualified_name(errs, key, f"{path}.capacity")
        policy, at = amount.get("requestPolicy"), f"{path}.capacity[{key}].requestPolicy"
        if policy is not None and not device.get("allowMultipleAllocations"):
            errs.append(forbidden(at, "allowMultipleAllocations must be true"))
        elif policy is not None:
            _policy(errs, policy, quantity(amount.get("value") or 0), at)
    items(errs, device.get("taints"), 16, _taint, f"{path}.taints")
    unique(errs, device.get("consumesCounters"), 2, _consumption, lambda c: c.get("counterSet"), f"{path}.consumesCounters")
    if own_nodes:
        found = _nodes(errs, device, path, "must not be empty")
        if not found:
            errs.append(required(path, _ONE_OF_DEVICE))
        elif len(found) > 1:
            errs.append(invalid(path, f"{{{', '.join(found)}}}", _ONE_OF_DEVICE))
    elif any(device.get(field) is not None for field in ("nodeName", "nodeSelector", "allNodes")):
        only = "can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
        errs.append(invalid(path, None, f"`nodeName`, `nodeSelector` and `allNodes` {only}"))
    binding_conditions(errs, device, path)


def _text(errs: Errors, value: str, path: str, *, version: bool) -> None:
    if version and not _VERSION.fullmatch(value):
        errs.append(invalid(path, value, "must be a string compatible with semver.org spec 2.0.0"))
    if len(value.encode()) > 64:
        errs.append(too_long(path, 64))


def _attribute(errs: Errors, attribute: Object, path: str) -> None:
    given = [name for name in ("bool", "int", "string", "version", *_LISTS) if attribute.get(name) is not None]
    for name in given:
        value = attribute[name]
        if name in ("string", "version"):
            _text(errs, value, f"{path}.{name}", version=name == "version")
        elif name in _LISTS and not value:
            errs.append(invalid(f"{path}.{name}", value, "must not be empty if specified"))
        elif name in ("strings", "versions"):
            for i, item in enumerate(value):
                _text(errs, item, f"{path}.{name}[{i}]", version=name == "versions")
    if len(given) != 1:
        errs.append(invalid(path, go_struct("resource.DeviceAttribute", attribute) if given else "", "exactly one value must be specified"))


def _taint(errs: Errors, taint: Object, path: str) -> None:
    label_name(errs, taint.get("key") or "", f"{path}.key")
    value, effect = taint.get("value") or "", taint.get("effect") or ""
    each(errs, f"{path}.value", value, label_value(value))
    if not effect:
        errs.append(required(f"{path}.effect"))
    elif effect not in EFFECTS:
        errs.append(not_supported(f"{path}.effect", effect, EFFECTS))


def _policy(errs: Errors, policy: Object, most: Quantity, path: str) -> None:
    """Which amounts of a capacity may be asked for."""
    values, span, default = policy.get("validValues") or (), policy.get("validRange"), policy.get("default")
    if values and span is not None:
        detail = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        errs.append(forbidden(path, detail))
    elif (values or span is not None) and default is None:
        errs.append(required(f"{path}.default", f"required when {'validValues' if values else 'validRange'} is defined"))
    elif values:
        _options(errs, [quantity(v) for v in values], quantity(default or 0), most, f"{path}.validValues")
    elif span is not None:
        _range(errs, span, quantity(default or 0), most, f"{path}.validRange")


def _options(errs: Errors, values: list[Quantity], default: Quantity, most: Quantity, path: str) -> None:
    for i in range(1, len(values)):
        if values[i] < values[i - 1]:
            errs.append(invalid(f"{path}[{i}]", str(values[i]), "values must be sorted in ascending order"))

    def option(errs: Errors, value: Quantity, at: str) -> None:
        if most < value:
            errs.append(invalid(at, str(value), f"option is larger than capacity value: {most}"))

    unique(errs, values, 10, option, lambda v: str(v.value()), path)
    if default not in values:
        errs.append(invalid(path, str(default), "default value is not valid according to the requestPolicy"))


def _range(errs: Errors, span: Object, default: Quantity, most: Quantity, path: str) -> None:
    if span.get("min") is None:
        errs.append(required(f"{path}.min", "required when validRange is defined"))
        return
    low, step = quantity(span["min"]), span.get("step")
    high = quantity(span["max"]) if span.get("max") is not None else None
    if most < low:
        errs.append(invalid(f"{path}.min", str(low), f"min is larger than capacity value: {most}"))
    if default < low:
        errs.append(invalid(f"{path}.min", str(default), f"default is less than min: {low}"))
    if high is not None:
        if high < low:
            errs.append(invalid(f"{path}.max", str(low), f"min is larger than max: {high}"))
        if most < high:
            errs.append(invalid(f"{path}.max", str(high), f"max is larger than capacity value: {most}"))
        if high < default:
            errs.append(invalid(f"{path}.max", str(default), f"default is more than max: {high}"))
    if step is None:
        return
    pace, at = quantity(step), f"{path}.step"
    if most < low + pace:
        errs.append(invalid(at, str(pace), f"one step {low + pace} is larger than capacity value: {most}"))
    for value in (default, high):
        if value is not None and pace.value() and (value.value() - low.value()) % pace.value():
            errs.append(invalid(at, str(value), f"value is not a multiple of a given step ({pace}) from ({low})"))
