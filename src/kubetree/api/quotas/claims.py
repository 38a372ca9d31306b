"""Persistent volume claims in quotas: their number and what they ask for, in all and by storage class."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubetree.api.quantities import Quantity, parse_quantity
from kubetree.api.quotas.resource_lists import ResourceList
from kubetree.api.quotas.scopes import matches_values

_ONE = Quantity(1)
_CLASS = ".storageclass.storage.k8s.io/"
_NUMBER, _STORAGE = "persistentvolumeclaims", "requests.storage"

Object = Mapping[str, Any]


def usage(claim: Object, now: datetime) -> ResourceList:
    found: ResourceList = {_NUMBER: _ONE, f"count/{_NUMBER}": _ONE}
    storage_class, size = _storage_class(claim), _size(claim)
    if storage_class:
        found[f"{storage_class}{_CLASS}{_NUMBER}"] = _ONE
    if size is not None:
        found[_STORAGE] = size
        if storage_class:
            found[f"{storage_class}{_CLASS}{_STORAGE}"] = size
    return found


def matches_name(name: str) -> bool:
    return name in (_NUMBER, f"count/{_NUMBER}", _STORAGE) or name.endswith((_CLASS + _NUMBER, _CLASS + _STORAGE))


def handles(operation: str, subresource: str, new: Object, old: Object | None) -> bool:
    if subresource == "status":
        return old is not None and (_allocated(new) != _allocated(old) or set(_attribute_classes(new)) != set(_attribute_classes(old)))
    return not subresource and operation in ("CREATE", "UPDATE")


def matches_scope(selector: Object, claim: Object) -> bool:
    return selector.get("scopeName") == "VolumeAttributesClass" and matches_values(selector, _attribute_classes(claim))


def _storage_class(claim: Object) -> str:
    annotations = claim["metadata"].get("annotations") or {}
    stated = annotations.get("volume.beta.kubernetes.io/storage-class")
    return str(stated if stated is not None else (claim.get("spec") or {}).get("storageClassName") or "")


def _size(claim: Object) -> Quantity | None:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    if "storage" not in requests:
        return None
    asked = parse_quantity(requests["storage"])
    allocated = _allocated(claim)
    largest = asked if allocated is None else max(asked, parse_quantity(allocated))
    return Quantity(largest.value(), largest.format)


def _allocated(claim: Object) -> Any:
    return ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage")


def _attribute_classes(claim: Object) -> list[str]:
    status = claim.get("status") or {}
    names = [
        (claim.get("spec") or {}).get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    ]
    return [name for name in names if name]
