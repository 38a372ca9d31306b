"""The downward API: values of a pod's own fields and resources, for environment variables and volumes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubetree.api.quantities import parse_quantity
from kubetree.kubelet import specs

Object = dict[str, Any]
_SUBSCRIPT = re.compile(r"^(metadata\.(?:labels|annotations))\['(.*)'\]$")


class FieldError(Exception):
    """A field reference that names nothing."""


@dataclass(frozen=True, slots=True)
class PodAddresses:
    """Addresses as they are when a container is made: the status may not say so yet."""

    pod_ips: tuple[str, ...] = ()
    host_ips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeResources:
    """The node's allocatable cpu and memory, which stand in for limits that a container lacks."""

    allocatable: Mapping[str, str] = field(default_factory=dict)


def field_value(pod: Object, path: str, addresses: PodAddresses) -> str:
    """The value of `fieldRef.fieldPath`. Raises FieldError."""
    metadata, spec = pod["metadata"], pod["spec"]
    if found := _SUBSCRIPT.match(path):
        values = metadata.get(found[1].removeprefix("metadata.")) or {}
        return str(values.get(found[2], ""))
    values = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "metadata.labels": _format_map(metadata.get("labels") or {}),
        "metadata.annotations": _format_map(metadata.get("annotations") or {}),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": next(iter(addresses.host_ips), ""),
        "status.hostIPs": ",".join(addresses.host_ips),
        "status.podIP": next(iter(addresses.pod_ips), ""),
        "status.podIPs": ",".join(addresses.pod_ips),
    }
    if path not in values:
        raise FieldError(f"unsupported fieldPath: {path}")
    return str(values[path])


def _format_map(values: Mapping[str, str]) -> str:
    """`key="value"` lines, sorted, quoted as Go quotes strings."""
    return "\n".join(f"{key}={_quote(value)}" for key, value in sorted(values.items()))


_ESCAPES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v", '"': r"\"", "\\": r"\\"}


def _quote(text: str) -> str:
    def escape(character: str) -> str:
        if character in _ESCAPES:
            return _ESCAPES[character]
        return character if character.isprintable() else f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"

    return '"' + "".join(map(escape, text)) + '"'


def resource_value(pod: Object, container_name: str, reference: Object, node: NodeResources) -> str:
    """The value of a `resourceFieldRef`: the resource divided by its divisor, rounded up. Raises FieldError."""
    container = specs.find_container(pod, reference.get("containerName") or container_name)
    if container is None:
        raise FieldError(f"container {reference.get('containerName')} not found")
    path = reference["resource"]
    kind, _, name = path.partition(".")
    if kind not in ("limits", "requests") or not name:
        raise FieldError(f"unsupported container resource : {path}")
    resources = container.get("resources") or {}
    amount = (resources.get(kind) or {}).get(name)
    if amount is None and kind == "limits":
        amount = node.allocatable.get(name)
    quantity = parse_quantity(amount if amount is not None else "0")
    divisor = parse_quantity(reference.get("divisor") or "1")
    if divisor.is_zero():
        divisor = parse_quantity("1")
    if name == "cpu":
        return str(-(-quantity.milli() // divisor.milli()))
    return str(-(-quantity.value() // divisor.value()))
