"""The sources of volumes, of pods and of persistent volumes: a table from the source's name to its rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kubetree.api.validation.errors import Errors, Object, each, forbidden, invalid, not_supported, required, too_long
from kubetree.api.validation.names import dns_label, dns_subdomain
from kubetree.api.validation.pods.environment import VOLUME_FIELDS, object_field, resource_field
from kubetree.api.validation.pods.paths import descending, mode, no_backsteps, not_reserved
from kubetree.api.validation.pods.projections import projected
from kubetree.api.validation.resources import ZERO, quantity

Source = Callable[[Errors, dict[str, Any], str], None]

_HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
_PARTITION = "must be between 1 and 255, inclusive"
_ISCSI_NAMES = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([\w\-.]+)(:[^,;*&$|\s]+)$").search,
    "eui": re.compile(r"^eui.[0-9A-Za-z]{16}$").search,
    "naa": re.compile(r"^naa.[0-9A-Za-z]{32}$").search,
}


def fields(*names: str) -> Source:
    """The named fields must be set."""

    def check(errs: Errors, source: dict[str, Any], path: str) -> None:
        for name in names:
            if not source.get(name):
                errs.append(required(f"{path}.{name}"))

    return check


def csi_driver_name(errs: Errors, name: str, path: str) -> None:
    if not name:
        errs.append(required(path))
        return
    if len(name) > 63:
        errs.append(too_long(path, 63))
    each(errs, path, name, dns_subdomain(name.lower()))


def _empty_dir(errs: Errors, source: dict[str, Any], path: str) -> None:
    if source.get("sizeLimit") is not None and quantity(source["sizeLimit"]) < ZERO:
        errs.append(forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"))


def host_path(errs: Errors, source: dict[str, Any], path: str) -> None:
    if not source.get("path"):
        errs.append(required(f"{path}.path"))
        return
    no_backsteps(errs, source["path"], f"{path}.path")
    if source.get("type") is not None and source["type"] not in _HOST_PATH_TYPES:
        errs.append(not_supported(f"{path}.type", source["type"], _HOST_PATH_TYPES))


def _git_repo(errs: Errors, source: dict[str, Any], path: str) -> None:
    if not source.get("repository"):
        errs.append(required(f"{path}.repository"))
    descending(errs, source.get("directory") or "", f"{path}.directory")


def _disk(identifier: str) -> Source:
    def check(errs: Errors, source: dict[str, Any], path: str) -> None:
        if not source.get(identifier):
            errs.append(required(f"{path}.{identifier}"))
        partition = source.get("partition") or 0
        if not 0 <= partition <= 255:
            errs.append(invalid(f"{path}.partition", partition, _PARTITION))

    return check


def key_to_path(errs: Errors, item: Object, path: str) -> None:
    for name in ("key", "path"):
        if not item.get(name):
            errs.append(required(f"{path}.{name}"))
    not_reserved(errs, item.get("path") or "", f"{path}.path")
    mode(errs, item.get("mode"), f"{path}.mode")


def _items_of(name_field: str) -> Source:
    def check(errs: Errors, source: dict[str, Any], path: str) -> None:
        if not source.get(name_field):
            errs.append(required(f"{path}.{name_field}"))
        mode(errs, source.get("defaultMode"), f"{path}.defaultMode")
        for i, item in enumerate(source.get("items") or ()):
            key_to_path(errs, item, f"{path}.items[{i}]")

    return check


def nfs(errs: Errors, source: dict[str, Any], path: str) -> None:
    fields("server", "path")(errs, source, path)
    if not (source.get("path") or "").startswith("/"):
        errs.append(invalid(f"{path}.path", source.get("path") or "", "must be an absolute path"))


def _iscsi_name(errs: Errors, name: str, path: str, unknown: str) -> None:
    match = _ISCSI_NAMES.get(name[:3])
    if match is None:
        errs.append(invalid(path, name, unknown))
    elif not match(name):
        errs.append(invalid(path, name, "must be valid format"))


def _iscsi(persistent: bool) -> Source:
    unknown = "must be valid format" if persistent else "must be valid format starting with iqn, eui, or naa"

    def check(errs: Errors, source: dict[str, Any], path: str) -> None:
        if not source.get("targetPortal"):
            errs.append(required(f"{path}.targetPortal"))
        if not source.get("iqn"):
            errs.append(required(f"{path}.iqn"))
        else:
            _iscsi_name(errs, source["iqn"], f"{path}.iqn", unknown)
        lun, secret = source.get("lun") or 0, source.get("secretRef")
        if not 0 <= lun <= 255:
            errs.append(invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive"))
        if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and secret is None:
            errs.append(required(f"{path}.secretRef"))
        if persistent and secret is not None and not secret.get("name"):
            errs.append(required(f"{path}.secretRef.name"))
        if source.get("initiatorName") is not None:
            _iscsi_name(errs, source["initiatorName"], f"{path}.initiatorname", unknown)

    return check


def _fibre_channel(errs: Errors, source: dict[str, Any], path: str) -> None:
    targets, wwids = source.get("targetWWNs"), source.get("wwids")
    if not targets and not wwids:
        errs.append(required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both"))
    if targets and wwids:
        errs.append(invalid(f"{path}.targetWWNs", targets, "targetWWNs and wwids can not be specified simultaneously"))
    if targets:
        lun = source.get("lun")
        if lun is None:
            errs.append(required(f"{path}.lun", "lun is required if targetWWNs is specified"))
        elif not 0 <= lun <= 255:
            errs.append(invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive"))


def _flocker(errs: Errors, source: dict[str, Any], path: str) -> None:
    name, uuid = source.get("datasetName") or "", source.get("datasetUUID")
    if not name and not uuid:
        errs.append(required(path, "one of datasetName and datasetUUID is required"))
    if name and uuid:
        errs.append(invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    if "/" in name:
        errs.append(invalid(f"{path}.datasetName", name, "must not contain '/'"))


def _glusterfs(persistent: bool) -> Source:
    def check(errs: Errors, source: dict[str, Any], path: str) -> None:
        fields("endpoints", "path")(errs, source, path)
        namespace = source.get("endpointsNamespace")
        if persistent and namespace is not None:
            at = f"{path}.endpointsNamespace"
            if not namespace:
                errs.append(invalid(at, "", "if the endpointnamespace is set, it must be a valid namespace name"))
            else:
                each(errs, at, namespace, dns_label(namespace))

    return check


def _quobyte(errs: Errors, source: dict[str, Any], path: str) -> None:
    registry = source.get("registry") or ""
    pairs = "must be a host:port pair or multiple pairs separated by commas"
    if not registry:
        errs.append(required(f"{path}.registry", pairs))
    elif len(source.get("tenant") or "") >= 65:
        errs.append(required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    else:
        for pair in registry.split(","):
            if ":" not in pair:
                errs.append(invalid(f"{path}.registry", registry, pairs))
    if not source.get("volume"):
        errs.append(required(f"{path}.volume"))


def _secret_ref(*names: str, first: Source) -> Source:
    """`first`, and the named fields of secretRef if there is one."""

    def check(errs: Errors, source: dict[str, Any], path: str) -> None:
        first(errs, source, path)
        ref = source.get("secretRef")
        if ref is not None:
            for name in names:
                if not ref.get(name):
                    errs.append(required(f"{path}.secretRef.{name}"))

    return check


def _flex(errs: Errors, source: dict[str, Any], path: str) -> None:
    if not source.get("driver"):
        errs.append(required(f"{path}.driver"))
    for key in source.get("options") or ():
        if f".{key.split('/')[0].lower()}".endswith((".kubernetes.io", ".k8s.io")):
            errs.append(invalid(f"{path}.options[{key}]", key, "kubernetes.io and k8s.io namespaces are reserved"))


_AZURE_MODES, _AZURE_KINDS = ("None", "ReadOnly", "ReadWrite"), ("Dedicated", "Managed", "Shared")
_AZURE_MANAGED = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_AZURE_BLOB = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"


def _azure_disk(errs: Errors, source: dict[str, Any], path: str) -> None:
    fields("diskName", "diskURI")(errs, source, path)
    caching, kind, uri = source.get("cachingMode"), source.get("kind"), source.get("diskURI") or ""
    if caching is not None and caching not in _AZURE_MODES:
        errs.append(not_supported(f"{path}.cachingMode", caching, _AZURE_MODES))
    if kind is not None and kind not in _AZURE_KINDS:
        errs.append(not_supported(f"{path}.kind", kind, _AZURE_KINDS))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        errs.append(not_supported(f"{path}.diskURI", uri, (_AZURE_MANAGED,)))
    if kind is not None and kind != "Managed" and not uri.startswith("https://"):
        errs.append(not_supported(f"{path}.diskURI", uri, (_AZURE_BLOB,)))


def _azure_file(persistent: bool) -> Source:
    def check(errs: Errors, source: dict[str, Any], path: str) -> None:
        fields("secretName", "shareName")(errs, source, path)
        if persistent and source.get("secretNamespace") == "":
            errs.append(required(f"{path}.secretNamespace"))

    return check


def _storage_os(errs: Errors, source: dict[str, Any], path: str) -> None:
    name, namespace = source.get("volumeName"), source.get("volumeNamespace")
    if not name:
        errs.append(required(f"{path}.volumeName"))
    else:
        each(errs, f"{path}.volumeName", name, dns_label(name))
    if namespace:
        each(errs, f"{path}.volumeNamespace", namespace, dns_label(namespace))


def _csi(errs: Errors, source: dict[str, Any], path: str) -> None:
    csi_driver_name(errs, source.get("driver") or "", f"{path}.driver")
    ref = source.get("nodePublishSecretRef")
    if ref is not None:
        if not ref.get("name"):
            errs.append(required(f"{path}.nodePublishSecretRef.name"))
        else:
            each(errs, f"{path}.name", ref["name"], dns_subdomain(ref["name"]))


def _csi_persistent(errs: Errors, source: dict[str, Any], path: str) -> None:
    csi_driver_name(errs, source.get("driver") or "", f"{path}.driver")
    if not source.get("volumeHandle"):
        errs.append(required(f"{path}.volumeHandle"))
    for name in ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"):
        ref = source.get(name)
        if ref is not None:
            for part, rule in (("name", dns_subdomain), ("namespace", dns_label)):
                if not ref.get(part):
                    errs.append(required(f"{path}.{name}.{part}"))
                else:
                    each(errs, f"{path}.{name}.{part}", ref[part], rule(ref[part]))


def downward_file(errs: Errors, item: Object, path: str) -> None:
    """One file of a downward API volume; upstream names the list, not the item, in the path."""
    if not item.get("path"):
        errs.append(required(f"{path}.path"))
    not_reserved(errs, item.get("path") or "", f"{path}.path")
    if item.get("fieldRef") is not None:
        object_field(errs, item["fieldRef"], VOLUME_FIELDS, f"{path}.fieldRef")
        if item.get("resourceFieldRef") is not None:
            errs.append(invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
    elif item.get("resourceFieldRef") is not None:
        resource_field(errs, item["resourceFieldRef"], f"{path}.resourceFieldRef", volume=True)
    else:
        errs.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    mode(errs, item.get("mode"), f"{path}.mode")


def _downward_api(errs: Errors, source: dict[str, Any], path: str) -> None:
    mode(errs, source.get("defaultMode"), f"{path}.defaultMode")
    for item in source.get("items") or ():
        downward_file(errs, item, path)


def _projected(errs: Errors, source: dict[str, Any], path: str) -> None:
    projected(errs, source, path, key_to_path, downward_file)


def _local(errs: Errors, source: dict[str, Any], path: str) -> None:
    if not source.get("path"):
        errs.append(required(f"{path}.path"))
    else:
        no_backsteps(errs, source["path"], f"{path}.path")


_SHARED: dict[str, tuple[str, Source]] = {
    "hostPath": ("hostPath", host_path),
    "gcePersistentDisk": ("persistentDisk", _disk("pdName")),
    "awsElasticBlockStore": ("awsElasticBlockStore", _disk("volumeID")),
    "nfs": ("nfs", nfs),
    "flocker": ("flocker", _flocker),
    "rbd": ("rbd", fields("monitors", "image")),
    "quobyte": ("quobyte", _quobyte),
    "cephfs": ("cephfs", fields("monitors")),
    "fc": ("fc", _fibre_channel),
    "flexVolume": ("flexVolume", _flex),
    "vsphereVolume": ("vsphereVolume", fields("volumePath")),
    "photonPersistentDisk": ("photonPersistentDisk", fields("pdID")),
    "portworxVolume": ("portworxVolume", fields("volumeID")),
    "azureDisk": ("azureDisk", _azure_disk),
    "scaleIO": ("scaleIO", fields("gateway", "system", "volumeName")),
}

SHOWN = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}
"""Sources that upstream spells otherwise where there is one too many."""
_POD_ONLY: dict[str, tuple[str, Source]] = {
    "emptyDir": ("emptyDir", _empty_dir),
    "gitRepo": ("gitRepo", _git_repo),
    "secret": ("secret", _items_of("secretName")),
    "iscsi": ("iscsi", _iscsi(False)),
    "glusterfs": ("glusterfs", _glusterfs(False)),
    "persistentVolumeClaim": ("persistentVolumeClaim", fields("claimName")),
    "cinder": ("cinder", _secret_ref("name", first=fields("volumeID"))),
    "downwardAPI": ("downwardAPI", _downward_api),
    "configMap": ("configMap", _items_of("name")),
    "azureFile": ("azureFile", _azure_file(False)),
    "storageos": ("storageos", _secret_ref("name", first=_storage_os)),
    "projected": ("projected", _projected),
    "csi": ("csi", _csi),
}
_PERSISTENT_ONLY: dict[str, tuple[str, Source]] = {
    "glusterfs": ("glusterfs", _glusterfs(True)),
    "iscsi": ("iscsi", _iscsi(True)),
    "cinder": ("cinder", _secret_ref("name", "namespace", first=fields("volumeID"))),
    "azureFile": ("azureFile", _azure_file(True)),
    "local": ("local", _local),
    "storageos": ("storageos", _secret_ref("name", "namespace", first=_storage_os)),
    "csi": ("csi", _csi_persistent),
}


def _in_order(own: dict[str, tuple[str, Source]], names: str) -> dict[str, tuple[str, Source]]:
    """Sources in the order in which upstream looks at them."""
    return {name: own.get(name) or _SHARED[name] for name in names.split()}


POD_SOURCES = _in_order(
    _POD_ONLY,
    "emptyDir hostPath gitRepo gcePersistentDisk awsElasticBlockStore secret nfs iscsi glusterfs flocker persistentVolumeClaim rbd cinder "
    "cephfs quobyte downwardAPI fc flexVolume configMap azureFile vsphereVolume photonPersistentDisk portworxVolume azureDisk storageos "
    "projected scaleIO csi",
)
"""By field name: the name in error paths, and the rule. `ephemeral` and `image` need their pod and stand with it."""

PERSISTENT_SOURCES = _in_order(
    _PERSISTENT_ONLY,
    "hostPath gcePersistentDisk awsElasticBlockStore glusterfs flocker nfs rbd quobyte cephfs iscsi cinder fc flexVolume azureFile "
    "vsphereVolume photonPersistentDisk portworxVolume azureDisk scaleIO local storageos csi",
)
