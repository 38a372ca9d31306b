"""What claims, classes and slices share: names, selectors, opaque configuration, tolerations, taints."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from kubetree.api import device_selectors
from kubetree.api.validation.errors import (
    Errors,
    Object,
    duplicate,
    each,
    forbidden,
    internal,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from kubetree.api.validation.metadata import label_name
from kubetree.api.validation.names import c_identifier, dns_label, dns_subdomain, label_value
from kubetree.api.validation.pods.volume_sources import csi_driver_name as driver_name

MOST_REQUESTS = 32
EFFECTS = ("NoExecute", "NoSchedule", "None")
_OPAQUE_LIMIT = 10 * 1024
_EXPRESSION_LIMIT = 10 * 1024

__all__ = [
    "EFFECTS",
    "MOST_REQUESTS",
    "binding_conditions",
    "configuration",
    "driver_name",
    "items",
    "label",
    "pool_name",
    "qualified_name",
    "raw_object",
    "selectors",
    "tolerations",
    "unique",
]

Check = Callable[[Errors, Any, str], None]


def items(errs: Errors, values: Sequence[Any] | None, limit: int, check: Check, path: str) -> bool:
    """Each of at most `limit` things. False when they are too many to look at."""
    values = values or ()
    if 0 <= limit < len(values):
        errs.append(too_many(path, len(values), limit))
        return False
    for i, value in enumerate(values):
        check(errs, value, f"{path}[{i}]")
    return True


def unique(errs: Errors, values: Sequence[Any] | None, limit: int, check: Check, key: Callable[[Any], Hashable], path: str) -> None:
    if not items(errs, values, limit, check, path):
        return
    seen: set[Hashable] = set()
    for i, value in enumerate(values or ()):
        name = key(value)
        if name in seen:
            errs.append(duplicate(f"{path}[{i}]", name))
        seen.add(name)


def label(errs: Errors, value: str, path: str) -> None:
    each(errs, path, value, dns_label(value))


def pool_name(errs: Errors, name: str, path: str) -> None:
    if not name:
        errs.append(required(path))
        return
    if len(name) > 253:
        errs.append(too_long(path, 253))
    for part in name.split("/"):
        each(errs, path, part, dns_subdomain(part))


def _identifier(errs: Errors, name: str, path: str) -> None:
    if len(name) > 32:
        errs.append(too_long(path, 32))
    each(errs, path, name, c_identifier(name))


def qualified_name(errs: Errors, name: str, path: str, *, fully: bool = False) -> None:
    """An identifier, perhaps of a domain."""
    domain, slash, rest = name.partition("/")
    if not slash:
        _identifier(errs, name, path)
    elif "/" not in rest:
        if domain:
            driver_name(errs, domain, path)
        else:
            errs.append(invalid(path, "", "the domain must not be empty"))
        if rest:
            _identifier(errs, rest, path)
        else:
            errs.append(invalid(path, "", "the name must not be empty"))
    if fully and not slash:
        errs.append(invalid(path, name, "a fully qualified name must be a domain and a name separated by a slash"))


def selectors(errs: Errors, values: Sequence[Object] | None, path: str) -> None:
    items(errs, values, 32, _selector, path)


def _selector(errs: Errors, selector: Object, path: str) -> None:
    cel = selector.get("cel")
    if cel is None:
        errs.append(required(f"{path}.cel"))
        return
    expression, at = cel.get("expression") or "", f"{path}.cel.expression"
    if len(expression.encode()) > _EXPRESSION_LIMIT:
        errs.append(too_long(at, _EXPRESSION_LIMIT))
        return
    try:
        if device_selectors.selector(expression).most > device_selectors.MOST_COST:
            errs.append(forbidden(at, "too complex, exceeds cost limit"))
    except device_selectors.UnplannedSelector as error:
        errs.append(internal(at, str(error)))
    except device_selectors.SelectorError as error:
        errs.append(invalid(at, expression, str(error)))


def raw_object(errs: Errors, value: Any, path: str, limit: int = _OPAQUE_LIMIT) -> None:
    if value is None:
        errs.append(required(path))
    elif len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()) > limit:
        errs.append(too_long(path, limit))
    elif not isinstance(value, dict):
        errs.append(invalid(path, "<value omitted>", "must be a valid JSON object"))


def configuration(errs: Errors, config: Object, path: str) -> None:
    opaque = config.get("opaque")
    if opaque is None:
        errs.append(required(f"{path}.opaque"))
        return
    driver_name(errs, opaque.get("driver") or "", f"{path}.opaque.driver")
    raw_object(errs, opaque.get("parameters"), f"{path}.opaque.parameters")


def tolerations(errs: Errors, values: Sequence[Object] | None, path: str) -> None:
    items(errs, values, 16, _toleration, path)


def _toleration(errs: Errors, toleration: Object, path: str) -> None:
    key, value, operator = toleration.get("key") or "", toleration.get("value") or "", toleration.get("operator") or ""
    if key:
        label_name(errs, key, f"{path}.key")
    if not operator:
        errs.append(required(f"{path}.operator"))
    elif operator == "Exists":
        if value:
            errs.append(invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        each(errs, f"{path}.value", value, label_value(value))
    else:
        errs.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    effect = toleration.get("effect") or ""
    if effect and effect not in EFFECTS:
        errs.append(not_supported(f"{path}.effect", effect, EFFECTS))


def binding_conditions(errs: Errors, holder: Object, path: str) -> None:
    """Conditions that must be true, and ones that must not be, before a pod is bound."""
    good, bad = holder.get("bindingConditions") or [], holder.get("bindingFailureConditions") or []
    for name, values in (("bindingConditions", good), ("bindingFailureConditions", bad)):
        items(errs, values, 4, label_name, f"{path}.{name}")
    for i, value in enumerate(good):
        if value in good[:i]:
            errs.append(duplicate(f"{path}.bindingConditions[{i}]", value))
    for i, value in enumerate(bad):
        at = f"{path}.bindingFailureConditions[{i}]"
        if value in bad[:i]:
            errs.append(duplicate(at, value))
        if value in good:
            errs.append(invalid(at, value, "bindingFailureConditions must not overlap with bindingConditions"))
    if bad and not good:
        errs.append(invalid(f"{path}.bindingConditions", None, "bindingConditions are required to use bindingFailureConditions"))
    if good and not bad:
        errs.append(invalid(f"{path}.bindingFailureConditions", None, "bindingFailureConditions are required to use bindingConditions"))
