"""The sources of a pod's volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubetree.api.defaults.images import pull_policy
from kubetree.api.defaults.resources import quantity_field, resource_requirements


def _mode(source: dict[str, Any]) -> None:
    if source.get("defaultMode") is None:
        source["defaultMode"] = 0o644


def _items(items: list[dict[str, Any]] | None) -> None:
    for item in items or ():
        ref = item.get("fieldRef")
        if ref is not None and not ref.get("apiVersion"):
            ref["apiVersion"] = "v1"
        ref = item.get("resourceFieldRef")
        if ref is not None:
            if ref.get("divisor") is None:
                ref["divisor"] = "0"
            else:
                quantity_field(ref, "divisor")


def _downward_api(source: dict[str, Any]) -> None:
    _mode(source)
    _items(source.get("items"))


def _projected(source: dict[str, Any]) -> None:
    _mode(source)
    for projection in source.get("sources") or ():
        token = projection.get("serviceAccountToken")
        if token is not None and token.get("expirationSeconds") is None:
            token["expirationSeconds"] = 3600
        if projection.get("downwardAPI") is not None:
            _items(projection["downwardAPI"].get("items"))


def claim_spec(spec: dict[str, Any]) -> None:
    """The spec of a persistent volume claim, also of a template for one."""
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = "Filesystem"
    resource_requirements(spec.setdefault("resources", {}))


def _ephemeral(source: dict[str, Any]) -> None:
    template = source.get("volumeClaimTemplate")
    if template is not None:
        template.setdefault("metadata", {})
        claim_spec(template.setdefault("spec", {}))


def _image(source: dict[str, Any]) -> None:
    if not source.get("pullPolicy"):
        source["pullPolicy"] = pull_policy(source.get("reference") or "")


def _empty_dir(source: dict[str, Any]) -> None:
    quantity_field(source, "sizeLimit")


def _host_path(source: dict[str, Any]) -> None:
    if source.get("type") is None:
        source["type"] = ""


def _fixed(**values: Any) -> Callable[[dict[str, Any]], None]:
    """Fills in constants where a field is missing or an empty string; False and None count by presence."""

    def fill(source: dict[str, Any]) -> None:
        for name, value in values.items():
            if source.get(name) in (None, ""):
                source[name] = value

    return fill


SOURCES: dict[str, Callable[[dict[str, Any]], None]] = {
    "azureDisk": _fixed(cachingMode="ReadWrite", fsType="ext4", readOnly=False, kind="Shared"),
    "configMap": _mode,
    "downwardAPI": _downward_api,
    "emptyDir": _empty_dir,
    "ephemeral": _ephemeral,
    "hostPath": _host_path,
    "image": _image,
    "iscsi": _fixed(iscsiInterface="default"),
    "projected": _projected,
    "rbd": _fixed(pool="rbd", user="admin", keyring="/etc/ceph/keyring"),
    "scaleIO": _fixed(storageMode="ThinProvisioned", fsType="xfs"),
    "secret": _mode,
}


def pod_volume(volume: dict[str, Any]) -> None:
    """A volume without a source is an emptyDir."""
    sourced = False
    for name, source in volume.items():
        if name != "name" and source is not None:
            sourced = True
            fill = SOURCES.get(name)
            if fill is not None:
                fill(source)
    if not sourced:
        volume["emptyDir"] = {}
