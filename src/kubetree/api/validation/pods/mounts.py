"""Where volumes appear in a container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubetree.api.validation.errors import Errors, Object, forbidden, invalid, not_found, not_supported, required
from kubetree.api.validation.pods.paths import descending

_PROPAGATION = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def _propagation(errs: Errors, value: str, container: Object, path: str) -> None:
    if value not in _PROPAGATION:
        errs.append(not_supported(path, value, _PROPAGATION))
    if value == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        errs.append(forbidden(path, "Bidirectional mount propagation is available only to privileged containers"))


def _recursive(errs: Errors, mount: Object, path: str) -> None:
    value = mount["recursiveReadOnly"]
    if value in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            errs.append(forbidden(path, "may only be specified when readOnly is true"))
        if mount.get("mountPropagation") not in (None, "None"):
            errs.append(forbidden(path, "may only be specified when mountPropagation is None or not specified"))
    elif value != "Disabled":
        errs.append(not_supported(path, value, _RECURSIVE))


def volume_mounts(errs: Errors, container: dict[str, Any], volumes: Mapping[str, Object], path: str) -> None:
    """`volumes` are the pod's valid volumes by name."""
    devices = {d.get("name"): d.get("devicePath") for d in container.get("volumeDevices") or ()}
    taken: set[str] = set()
    for i, mount in enumerate(container["volumeMounts"]):
        name, where = mount.get("name") or "", mount.get("mountPath") or ""
        if name not in volumes:
            if not name:
                errs.append(required(f"{path}[{i}].name"))
            errs.append(not_found(f"{path}[{i}].name", name))
        if not where:
            errs.append(required(f"{path}[{i}].mountPath"))
        if where in taken:
            errs.append(invalid(f"{path}[{i}].mountPath", where, "must be unique"))
        taken.add(where)
        if devices:
            if name in devices:
                errs.append(invalid(f"{path}[{i}].name", name, "must not already exist in volumeDevices"))
            if where in devices.values():
                errs.append(invalid(f"{path}[{i}].mountPath", where, "must not already exist as a path in volumeDevices"))
        if mount.get("subPath"):
            descending(errs, mount["subPath"], f"{path}.subPath")
        if mount.get("subPathExpr"):
            if mount.get("subPath"):
                detail = "subPathExpr and subPath are mutually exclusive"
                errs.append(invalid(f"{path}[{i}].subPathExpr", mount["subPathExpr"], detail))
            descending(errs, mount["subPathExpr"], f"{path}.subPathExpr")
        if mount.get("mountPropagation") is not None:
            _propagation(errs, mount["mountPropagation"], container, f"{path}.mountPropagation")
        if mount.get("recursiveReadOnly") is not None:
            _recursive(errs, mount, f"{path}.recursiveReadOnly")


def volume_devices(errs: Errors, container: dict[str, Any], volumes: Mapping[str, Object], path: str) -> None:
    mounts = {m.get("name"): m.get("mountPath") for m in container.get("volumeMounts") or ()}
    names: set[str] = set()
    paths: set[str] = set()
    for i, device in enumerate(container["volumeDevices"]):
        name, where = device.get("name") or "", device.get("devicePath") or ""
        source = volumes.get(name)
        if not name:
            errs.append(required(f"{path}[{i}].name"))
        if name in names:
            errs.append(invalid(f"{path}[{i}].name", name, "must be unique"))
        if source is not None and source.get("persistentVolumeClaim") is None and source.get("ephemeral") is None:
            detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errs.append(invalid(f"{path}[{i}].name", name, detail))
        if source is None:
            errs.append(not_found(f"{path}[{i}].name", name))
        if not where:
            errs.append(required(f"{path}[{i}].devicePath"))
        if where in paths:
            errs.append(invalid(f"{path}[{i}].devicePath", where, "must be unique"))
        if ".." in where.split("/"):
            errs.append(invalid(f"{path}[{i}].devicePath", where, "can not contain backsteps ('..')"))
        else:
            paths.add(where)
        if name in mounts:
            errs.append(invalid(f"{path}[{i}].name", name, "must not already exist in volumeMounts"))
        if where in mounts.values():
            errs.append(invalid(f"{path}[{i}].devicePath", where, "must not already exist as a path in volumeMounts"))
        names.add(name)
