"""Environment variables and where their values come from."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kubetree.api.validation.errors import Errors, Object, each, invalid, not_supported, required
from kubetree.api.validation.names import config_map_key, dns_label, dns_subdomain, env_var_name, label_key
from kubetree.api.validation.pods.paths import no_backsteps
from kubetree.api.validation.resources import quantity

ENV_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_KNOWN_FIELDS = frozenset(ENV_FIELDS + VOLUME_FIELDS + ("spec.restartPolicy", "spec.schedulerName", "status.phase"))
_RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"
)  # fmt: skip
_HUGE_PAGES = ("requests.hugepages-", "limits.hugepages-")
_SIZES = frozenset(["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"])
_SIZES_TEXT = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"
_DIVISORS = {
    "cpu": (frozenset({"1m", "1"}), "1m and 1 are supported with the cpu resource"),
    "memory": (_SIZES, f"{_SIZES_TEXT} are supported with the memory resource"),
    "ephemeral-storage": (_SIZES, f"{_SIZES_TEXT} are supported with the local ephemeral storage resource"),
    "hugepages": (_SIZES, f"{_SIZES_TEXT} are supported with the hugepages resource"),
}


def _subscript(field_path: str) -> tuple[str, str] | None:
    if not field_path.endswith("']"):
        return None
    name, bracket, key = field_path[:-2].partition("['")
    return (name, key) if bracket and name else None


def object_field(errs: Errors, ref: Object, allowed: Collection[str], path: str) -> None:
    """A downward API fieldRef."""
    if not ref.get("apiVersion"):
        errs.append(required(f"{path}.apiVersion"))
        return
    field_path = ref.get("fieldPath") or ""
    if not field_path:
        errs.append(required(f"{path}.fieldPath"))
        return
    split = _subscript(field_path)
    problem = ""
    if ref["apiVersion"] != "v1":
        problem = f"unsupported pod version: {ref['apiVersion']}"
    elif split and split[0] not in ("metadata.annotations", "metadata.labels"):
        problem = f"field label does not support subscript: {field_path}"
    elif not split and field_path not in _KNOWN_FIELDS and field_path != "spec.host":
        problem = f"field label not supported: {field_path}"
    if problem:
        errs.append(invalid(f"{path}.fieldPath", field_path, f"error converting fieldPath: {problem}"))
        return
    if split:
        key = split[1].lower() if split[0] == "metadata.annotations" else split[1]
        each(errs, path, key, label_key(key))
        return
    name = "spec.nodeName" if field_path == "spec.host" else field_path
    if name not in allowed:
        errs.append(not_supported(f"{path}.fieldPath", name, allowed))


def resource_field(errs: Errors, ref: Object, path: str, *, volume: bool) -> None:
    """A downward API resourceFieldRef; in a volume it must name the container."""
    resource = ref.get("resource") or ""
    if volume and not ref.get("containerName"):
        errs.append(required(f"{path}.containerName"))
    elif not resource:
        errs.append(required(f"{path}.resource"))
    elif resource not in _RESOURCES and not resource.startswith(_HUGE_PAGES):
        errs.append(not_supported(f"{path}.resource", resource, _RESOURCES))
    divisor = quantity(ref.get("divisor") or "0")
    if not divisor.is_zero():
        sort = "hugepages" if resource.startswith(_HUGE_PAGES) else resource.partition(".")[2]
        allowed = _DIVISORS.get(sort)
        if allowed and str(divisor) not in allowed[0]:
            errs.append(invalid(f"{path}.divisor", resource, f"only divisor's values {allowed[1]}"))


def _key_selector(errs: Errors, ref: Object, path: str) -> None:
    each(errs, f"{path}.name", ref.get("name") or "", dns_subdomain(ref.get("name") or ""))
    key = ref.get("key") or ""
    if not key:
        errs.append(required(f"{path}.key"))
    else:
        each(errs, f"{path}.key", key, config_map_key(key))


def _file_key(errs: Errors, ref: Object, path: str) -> None:
    for name, rule in (("key", env_var_name), ("volumeName", dns_label)):
        value = ref.get(name) or ""
        if not value:
            errs.append(required(f"{path}.{name}"))
        else:
            each(errs, f"{path}.{name}", value, rule(value))
    if not ref.get("path"):
        errs.append(required(f"{path}.path"))
    else:
        no_backsteps(errs, ref["path"], f"{path}.path")


def _value_from(errs: Errors, variable: Object, path: str) -> None:
    source = variable["valueFrom"]
    count = 0
    if source.get("fieldRef") is not None:
        count += 1
        object_field(errs, source["fieldRef"], ENV_FIELDS, f"{path}.fieldRef")
    if source.get("resourceFieldRef") is not None:
        count += 1
        resource_field(errs, source["resourceFieldRef"], f"{path}.resourceFieldRef", volume=False)
    for name in ("configMapKeyRef", "secretKeyRef"):
        if source.get(name) is not None:
            count += 1
            _key_selector(errs, source[name], f"{path}.{name}")
    if source.get("fileKeyRef") is not None:
        count += 1
        _file_key(errs, source["fileKeyRef"], f"{path}.fileKeyRef")
    if count == 0:
        names = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        errs.append(invalid(path, "", f"must specify one of: {names}"))
    elif variable.get("value"):
        errs.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errs.append(invalid(path, "", "may not have more than one field specified at a time"))


def variables(errs: Errors, env: list[dict[str, Any]], path: str) -> None:
    for i, variable in enumerate(env):
        name = variable.get("name")
        if not name:
            errs.append(required(f"{path}[{i}].name"))
        else:
            bad = env_var_name(name)
            if bad:
                each(errs, f"{path}[{i}].name", name, bad)
        if variable.get("valueFrom") is not None:
            _value_from(errs, variable, f"{path}[{i}].valueFrom")


def sources(errs: Errors, env_from: list[dict[str, Any]], path: str) -> None:
    for i, source in enumerate(env_from):
        at = f"{path}[{i}]"
        if source.get("prefix"):
            each(errs, f"{at}.prefix", source["prefix"], env_var_name(source["prefix"]))
        count = 0
        for ref in ("configMapRef", "secretRef"):
            if source.get(ref) is not None:
                count += 1
                name = source[ref].get("name") or ""
                if not name:
                    errs.append(required(f"{at}.{ref}.name"))
                else:
                    each(errs, f"{at}.{ref}.name", name, dns_subdomain(name))
        if count == 0:
            errs.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif count > 1:
            errs.append(invalid(path, "", "may not have more than one field specified at a time"))
