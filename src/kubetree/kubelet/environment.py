"""A container's environment variables, and the expansion of $(NAME) in variables, commands and subpaths. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubetree.kubelet import downward
from kubetree.kubelet.downward import NodeResources, PodAddresses

Object = dict[str, Any]
_REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")


class ConfigError(Exception):
    """What a container needs is missing: it waits with reason CreateContainerConfigError and this message."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What variables are read from. `config_map` and `secret` answer an object, or None when there is none of that name."""

    config_map: Callable[[str], Object | None] = field(default=lambda name: None)
    secret: Callable[[str], Object | None] = field(default=lambda name: None)
    addresses: PodAddresses = field(default_factory=PodAddresses)
    node: NodeResources = field(default_factory=NodeResources)


def expand(text: str, *variables: Mapping[str, str]) -> str:
    """$(NAME) becomes the value of the first mapping that has it, else it stays; $$ becomes $."""

    def substitute(match: re.Match[str]) -> str:
        name = match[2]
        if name is None:
            return "$"
        return next((mapping[name] for mapping in variables if name in mapping), match[0])

    return _REFERENCE.sub(substitute, text)


def expand_strict(text: str, variables: Mapping[str, str]) -> str:
    """As `expand`, but a name without a value is an error: what subPathExpr asks for. Raises ConfigError."""
    for match in _REFERENCE.finditer(text):
        if match[2] is not None and match[2] not in variables:
            raise ConfigError(f"missing value for {match[2]}")
    return expand(text, variables)


def service_variables(namespace: str, services: Iterable[Object], links: bool) -> dict[str, str]:
    """FOO_SERVICE_HOST and its kin: for services of the pod's namespace when `links`, and always for default/kubernetes."""
    chosen: dict[str, Object] = {}
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        if spec.get("clusterIP", "") in ("", "None"):
            continue
        if metadata["namespace"] == "default" and metadata["name"] == "kubernetes":
            chosen.setdefault(metadata["name"], service)
        elif links and metadata["namespace"] == namespace:
            chosen[metadata["name"]] = service
    variables: dict[str, str] = {}
    for name in sorted(chosen):
        variables |= _link_variables(name, chosen[name]["spec"])
    return variables


def _link_variables(name: str, spec: Object) -> dict[str, str]:
    prefix = name.replace("-", "_").upper()
    address, ports = spec["clusterIP"], spec.get("ports") or []
    variables = {f"{prefix}_SERVICE_HOST": address}
    for index, port in enumerate(ports):
        number, protocol = str(port["port"]), port.get("protocol") or "TCP"
        host = f"[{address}]" if ":" in address else address
        url = f"{protocol.lower()}://{host}:{number}"
        if index == 0:
            variables |= {f"{prefix}_SERVICE_PORT": number, f"{prefix}_PORT": url}
        if port.get("name"):
            variables[f"{prefix}_SERVICE_PORT_{port['name'].replace('-', '_').upper()}"] = number
        base = f"{prefix}_PORT_{number}_{protocol.upper()}"
        variables |= {base: url, f"{base}_PROTO": protocol.lower(), f"{base}_PORT": number, f"{base}_ADDR": address}
    return variables


def config_data(config_map: Object) -> dict[str, str]:
    return config_map.get("data") or {}


def secret_data(secret: Object) -> dict[str, str]:
    """A secret's values decoded. Bytes that are not UTF-8 are kept as surrogates, so that they reach the container unharmed."""
    return {key: base64.b64decode(value).decode("utf-8", "surrogateescape") for key, value in (secret.get("data") or {}).items()}


def build(pod: Object, container: Object, services: Mapping[str, str], sources: Sources) -> dict[str, str]:
    """The whole environment of a container. Raises ConfigError when a required config map, secret or key is missing."""
    variables: dict[str, str] = {}
    for entry in container.get("envFrom") or ():
        data = _whole(entry, sources)
        variables |= {f"{entry.get('prefix', '')}{key}": value for key, value in data.items()}
    for entry in container.get("env") or ():
        value = entry.get("value") or ""
        if value:
            value = expand(value, variables, services)
        elif entry.get("valueFrom"):
            found = _referenced(pod, container, entry["valueFrom"], sources)
            if found is None:
                continue
            value = found
        variables[entry["name"]] = value
    return {**services, **variables}


def _whole(entry: Object, sources: Sources) -> dict[str, str]:
    for field_name, kind, lookup, read in (
        ("configMapRef", "configmap", sources.config_map, config_data),
        ("secretRef", "secret", sources.secret, secret_data),
    ):
        if reference := entry.get(field_name):
            found = lookup(reference["name"])
            if found is not None:
                return read(found)
            if not reference.get("optional"):
                raise ConfigError(f'{kind} "{reference["name"]}" not found')
    return {}


def _referenced(pod: Object, container: Object, source: Object, sources: Sources) -> str | None:
    """The value of a valueFrom; None for an optional one that is missing."""
    if reference := source.get("fieldRef"):
        try:
            return downward.field_value(pod, reference["fieldPath"], sources.addresses)
        except downward.FieldError as error:
            raise ConfigError(str(error)) from error
    if reference := source.get("resourceFieldRef"):
        try:
            return downward.resource_value(pod, container["name"], reference, sources.node)
        except downward.FieldError as error:
            raise ConfigError(str(error)) from error
    for field_name, kind, title, lookup, read in (
        ("configMapKeyRef", "configmap", "ConfigMap", sources.config_map, config_data),
        ("secretKeyRef", "secret", "Secret", sources.secret, secret_data),
    ):
        if reference := source.get(field_name):
            found = lookup(reference["name"])
            optional = bool(reference.get("optional"))
            if found is None:
                if optional:
                    return None
                raise ConfigError(f'{kind} "{reference["name"]}" not found')
            data, key = read(found), reference["key"]
            if key in data:
                return data[key]
            if optional:
                return None
            raise ConfigError(f"couldn't find key {key} in {title} {pod['metadata']['namespace']}/{reference['name']}")
    return None
