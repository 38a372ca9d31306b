"""Resource names and amounts: of containers, pods, nodes, quotas and limit ranges."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from kubetree.api.quantities import Quantity, parse_quantity
from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_found, not_supported, required
from kubetree.api.validation.metadata import NEGATIVE
from kubetree.api.validation.names import dns_label, label_key

NOT_INTEGER = "must be an integer"
NOT_POSITIVE = "must be greater than zero"

_COUNTED = frozenset(
    [
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    ]
)
_COMPUTE = frozenset(["cpu", "memory", "ephemeral-storage"])
_STANDARD_QUOTA = (
    _COUNTED
    | _COMPUTE
    | frozenset(
        [
            "requests.cpu",
            "requests.memory",
            "requests.storage",
            "requests.ephemeral-storage",
            "limits.cpu",
            "limits.memory",
            "limits.ephemeral-storage",
        ]
    )
)
_STANDARD = _STANDARD_QUOTA | {"storage"}
ZERO = parse_quantity("0")


@lru_cache(maxsize=1 << 14)
def quantity(text: str | int | float) -> Quantity:
    """The quantity that a checked field holds."""
    return parse_quantity(text)


def is_huge_page(name: str) -> bool:
    return name.startswith("hugepages-")


def is_quota_huge_page(name: str) -> bool:
    return name.startswith(("hugepages-", "requests.hugepages-"))


def is_native(name: str) -> bool:
    """No domain, or kubernetes.io's."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    return not is_native(name) and not name.startswith("requests.") and not label_key(f"requests.{name}")


def overcommit_allowed(name: str) -> bool:
    return is_native(name) and not is_huge_page(name)


def is_standard_quota(name: str) -> bool:
    return name in _STANDARD_QUOTA or is_quota_huge_page(name)


@lru_cache(maxsize=1 << 12)
def is_integer(name: str) -> bool:
    """Counted things and extended resources come whole."""
    return name in _COUNTED or is_extended(name)


@lru_cache(maxsize=1 << 12)
def resource_name(name: str) -> tuple[str, ...]:
    messages = label_key(name)
    if not messages and "/" not in name and name not in _STANDARD and not is_quota_huge_page(name):
        return ("must be a standard resource type or fully qualified",)
    return messages


@lru_cache(maxsize=1 << 12)
def container_resource_name(name: str) -> tuple[str, ...]:
    messages = resource_name(name)
    if "/" not in name:
        if name not in _COMPUTE and not is_huge_page(name):
            return (*messages, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        return (*messages, "doesn't follow extended resource name standard")
    return messages


@lru_cache(maxsize=1 << 12)
def quota_resource_name(name: str) -> tuple[str, ...]:
    messages = resource_name(name)
    if "/" not in name and not is_standard_quota(name):
        return (*messages, "must be a standard resource for quota")
    return messages


def amount(errs: Errors, name: str, text: str | int, path: str) -> Quantity:
    """Not negative, and whole where the resource is counted."""
    value = quantity(text)
    if value < ZERO:
        errs.append(invalid(path, str(value), NEGATIVE))
    if is_integer(name) and value.milli() % 1000:
        errs.append(invalid(path, str(value), NOT_INTEGER))
    return value


def positive(errs: Errors, text: str | int, path: str) -> bool:
    value = quantity(text)
    if not value > ZERO:
        errs.append(invalid(path, str(value), NOT_POSITIVE))
        return False
    return True


def basic(errs: Errors, text: str | int, path: str) -> None:
    value = quantity(text)
    if value.value() < 0:
        errs.append(invalid(path, value.value(), "must be a valid resource quantity"))


def _huge_page(errs: Errors, name: str, value: Quantity, path: str) -> None:
    try:
        size = parse_quantity(name.removeprefix("hugepages-"))
    except ValueError:
        size = ZERO
    if not size > ZERO or size.milli() % 1000 or value.value() % size.value():
        errs.append(invalid(path, str(value), f"{value} is not positive integer multiple of {name}"))


_POD_LEVEL = ("cpu", "hugepages-*", "memory")


def _pod_level_name(errs: Errors, name: str, path: str) -> None:
    messages = resource_name(name)
    if messages:
        each(errs, path, name, messages)
    elif name not in ("cpu", "memory") and not is_huge_page(name):
        errs.append(not_supported(path, name, ("cpu", "memory")))


def _container_name(errs: Errors, name: str, path: str) -> None:
    messages = container_resource_name(name)
    if messages:
        each(errs, path, name, messages)


def requirements(errs: Errors, resources: Object | None, path: str, claims: Collection[str] = (), *, pod_level: bool = False) -> None:
    """A ResourceRequirements. `claims` are the names in the pod's resourceClaims."""
    if not resources:
        return
    name_rule = _pod_level_name if pod_level else _container_name
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    huge = compute = False
    for name, text in limits.items():
        at = f"{path}.limits[{name}]"
        name_rule(errs, name, at)
        value = amount(errs, name, text, at)
        if is_huge_page(name):
            huge = True
            _huge_page(errs, name, value, at)
        compute = compute or name in ("cpu", "memory")
    for name, text in requests.items():
        at = f"{path}.requests[{name}]"
        name_rule(errs, name, at)
        value = amount(errs, name, text, at)
        limit = limits.get(name)
        if limit is not None:
            most = quantity(limit)
            if limit != text and value != most and not overcommit_allowed(name):
                errs.append(invalid(f"{path}.requests", str(value), f"must be equal to {name} limit of {most}"))
            elif limit != text and most < value:
                errs.append(invalid(f"{path}.requests", str(value), f"must be less than or equal to {name} limit of {most}"))
        elif not overcommit_allowed(name):
            errs.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        if is_huge_page(name):
            huge = True
            _huge_page(errs, name, value, at)
        compute = compute or name in ("cpu", "memory")
    if huge and not compute:
        errs.append(forbidden(path, "HugePages require cpu or memory"))
    if resources.get("claims") and not pod_level:
        _claim_names(errs, resources["claims"], claims, f"{path}.claims")


def _claim_names(errs: Errors, uses: list[Object], known: Collection[str], path: str) -> None:
    names: set[str] = set()
    for i, use in enumerate(uses):
        at, name, request = f"{path}[{i}]", use.get("name") or "", use.get("request") or ""
        if not name:
            errs.append(required(at))
            continue
        if name in names:
            errs.append(duplicate(at, name))
        else:
            key = f"{name}/{request}" if request else name
            if request:
                each(errs, f"{at}.request", request, dns_label(request))
            if key in names:
                errs.append(duplicate(at, key))
            elif not request:
                errs.extend(duplicate(at, name) for other in names if other.partition("/")[0] == name and "/" in other)
            names.add(key)
        if name not in known:
            named = sorted(filter(None, known))
            where = f": {', '.join(named)}" if named else " which is empty"
            errs.append(not_found(at, name, f"must be one of the names in pod.spec.resourceClaims{where}"))
