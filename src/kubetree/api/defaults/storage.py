"""Volumes as cluster objects."""

from __future__ import annotations

from typing import Any

from kubetree.api.defaults.resources import resource_list
from kubetree.api.defaults.volumes import SOURCES, claim_spec


def persistent_volume(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    resource_list(spec.get("capacity"))
    if not spec.get("persistentVolumeReclaimPolicy"):
        spec["persistentVolumeReclaimPolicy"] = "Retain"
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = "Filesystem"
    for name in ("azureDisk", "hostPath", "iscsi", "rbd"):
        if spec.get(name) is not None:
            SOURCES[name](spec[name])
    if spec.get("scaleIO") is not None:
        SOURCES["scaleIO"](spec["scaleIO"])
    status = obj.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Pending"


def persistent_volume_claim(obj: dict[str, Any]) -> None:
    claim_spec(obj.setdefault("spec", {}))
    status = obj.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Pending"
    resource_list(status.get("capacity"))
    resource_list(status.get("allocatedResources"))


def storage_class(obj: dict[str, Any]) -> None:
    if obj.get("reclaimPolicy") is None:
        obj["reclaimPolicy"] = "Delete"
    if obj.get("volumeBindingMode") is None:
        obj["volumeBindingMode"] = "Immediate"


_CSI_DRIVER: dict[str, Any] = {
    "attachRequired": True,
    "podInfoOnMount": False,
    "storageCapacity": False,
    "fsGroupPolicy": "ReadWriteOnceWithFSType",
    "requiresRepublish": False,
    "seLinuxMount": False,
}


def csi_driver(obj: dict[str, Any]) -> None:
    spec = obj.setdefault("spec", {})
    for name, value in _CSI_DRIVER.items():
        if spec.get(name) is None:
            spec[name] = value
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]
