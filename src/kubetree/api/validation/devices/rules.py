"""DeviceTaintRules, which taint devices from outside, and requests for the state of pools of devices. Follows pkg/apis/resource/validation."""

from __future__ import annotations

from typing import Any

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.devices.parts import EFFECTS, label, pool_name
from kubetree.api.validation.errors import Errors, Object, each, invalid, not_supported, required, too_long, too_many
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.metadata import IMMUTABLE, conditions, label_name
from kubetree.api.validation.names import dns_subdomain, label_value

Thing = dict[str, Any]
_MOST_CONDITIONS = 8
_POOL_LIMIT = 253
_MOST_POOLS, _MOST_REQUEST_CONDITIONS, _DRIVER_LIMIT, _ERROR_LIMIT = 1000, 10, 63, 256


def taint_rule(errs: Errors, obj: Thing) -> None:
    _rule(errs, obj, None)


def taint_rule_update(errs: Errors, new: Thing, old: Thing) -> None:
    _rule(errs, new, ((old.get("spec") or {}).get("taint") or {}).get("effect") or "")


def _rule(errs: Errors, obj: Thing, old_effect: str | None) -> None:
    """An effect is looked at when it is new."""
    spec = obj.get("spec") or {}
    selector, path = spec.get("deviceSelector"), "spec.deviceSelector"
    if selector is not None:
        if selector.get("driver") is not None:
            _driver(errs, selector["driver"], f"{path}.driver")
        if selector.get("pool") is not None:
            pool_name(errs, selector["pool"], f"{path}.pool")
        if selector.get("device") is not None:
            label(errs, selector["device"], f"{path}.device")
    taint = spec.get("taint") or {}
    value, effect = taint.get("value") or "", taint.get("effect") or ""
    label_name(errs, taint.get("key") or "", "spec.taint.key")
    each(errs, "spec.taint.value", value, label_value(value))
    if effect != old_effect:
        if not effect:
            errs.append(required("spec.taint.effect"))
        elif effect not in EFFECTS:
            errs.append(not_supported("spec.taint.effect", effect, EFFECTS))


def _driver(errs: Errors, name: str, path: str) -> None:
    if not name:
        errs.append(required(path))
        return
    if len(name) > _DRIVER_LIMIT:
        errs.append(too_long(path, _DRIVER_LIMIT))
    each(errs, path, name, dns_subdomain(name.lower()))


def taint_rule_status(errs: Errors, new: Thing, old: Thing) -> None:
    found = (new.get("status") or {}).get("conditions") or []
    conditions(errs, found, "status.conditions")
    if len(found) > _MOST_CONDITIONS:
        errs.append(too_many("status.conditions", len(found), _MOST_CONDITIONS))


def pool_request(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    _long_name(errs, spec.get("driver") or "", "spec.driver")
    if spec.get("poolName") is not None:
        _pool(errs, spec["poolName"], "spec.poolName")
    limit = spec.get("limit")
    if limit is not None and limit < 1:
        errs.append(invalid("spec.limit", limit, "must be greater than or equal to 1"))
    if limit is not None and limit > _MOST_POOLS:
        errs.append(invalid("spec.limit", limit, f"must be less than or equal to {_MOST_POOLS}"))


def pool_request_update(errs: Errors, new: Thing, old: Thing) -> None:
    pool_request(errs, new)
    if not semantic_equal(new.get("spec"), old.get("spec")):
        errs.append(invalid("spec", None, IMMUTABLE))


def _long_name(errs: Errors, name: str, path: str) -> None:
    if not name:
        errs.append(required(path))
    else:
        each(errs, path, name, (_of_any_case(message) for message in dns_subdomain(name.lower())))


def _of_any_case(message: str) -> str:
    """As declared formats word it."""
    for old, new in (("a lowercase RFC", "an RFC"), ("lower case alphanumeric", "alphanumeric"), ("'example.com'", "'Example.com'")):
        message = message.replace(old, new)
    return message.replace("253 characters", "253 bytes")


def _pool(errs: Errors, name: str, path: str) -> None:
    """The declared format, which tells the parts of a name apart."""
    if len(name) > _POOL_LIMIT:
        errs.append(too_long(path, _POOL_LIMIT))
    for i, part in enumerate(name.split("/")):
        if not part:
            errs.append(invalid(path, name, f"segment {i}: must not be empty"))
        else:
            each(errs, path, part, (f"segment {i}: {message.replace('253 characters', '253 bytes')}" for message in dns_subdomain(part)))


def pool_request_status(errs: Errors, new: Thing, old: Thing) -> None:
    """It is written once."""
    status, before = new.get("status"), old.get("status")
    if before is not None:
        if not semantic_equal(status, before):
            errs.append(
                invalid("status", go_struct("resource.ResourcePoolStatusRequestStatus", status) if status is not None else None, IMMUTABLE)
            )
        return
    if status is None:
        return
    found, pools = status.get("conditions") or [], status.get("pools") or []
    conditions(errs, found, "status.conditions")
    count = status.get("poolCount")
    if count is None:
        errs.append(required("status.poolCount"))
    elif count < 0:
        errs.append(invalid("status.poolCount", count, "must be greater than or equal to 0"))
    if len(pools) > _MOST_POOLS:
        errs.append(too_many("status.pools", len(pools), _MOST_POOLS))
    else:
        for i, pool in enumerate(pools):
            _pool_status(errs, pool, f"status.pools[{i}]")
    if len(found) > _MOST_REQUEST_CONDITIONS:
        errs.append(too_many("status.conditions", len(found), _MOST_REQUEST_CONDITIONS))


_COUNTS = (
    ("generation", 0),
    ("resourceSliceCount", 1),
    ("totalDevices", 0),
    ("allocatedDevices", 0),
    ("availableDevices", 0),
    ("unavailableDevices", 0),
)


def _pool_status(errs: Errors, pool: Object, path: str) -> None:
    _long_name(errs, pool.get("driver") or "", f"{path}.driver")
    if not pool.get("poolName"):
        errs.append(required(f"{path}.poolName"))
    else:
        _pool(errs, pool["poolName"], f"{path}.poolName")
    if not pool.get("generation"):
        errs.append(required(f"{path}.generation"))
    for name, least in _COUNTS:
        value = pool.get(name)
        if value is not None and value < least:
            errs.append(invalid(f"{path}.{name}", value, f"must be greater than or equal to {least}"))
    if pool.get("nodeName") is not None:
        each(errs, f"{path}.nodeName", pool["nodeName"], dns_subdomain(pool["nodeName"]))
    if len((pool.get("validationError") or "").encode()) > _ERROR_LIMIT:
        errs.append(too_long(f"{path}.validationError", _ERROR_LIMIT))
