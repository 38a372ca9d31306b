"""Storage classes, CSI drivers and nodes, attachments and capacities."""

from __future__ import annotations

from typing import Any

from kubetree.api.strategies.equality import semantic_equal
from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_supported, required, too_long
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.metadata import IMMUTABLE, NEGATIVE, immutable, label_name, label_selector
from kubetree.api.validation.names import dns_subdomain, label_key
from kubetree.api.validation.persistent_volumes import volume_spec
from kubetree.api.validation.pods.volume_sources import csi_driver_name
from kubetree.api.validation.resources import ZERO, quantity

Thing = dict[str, Any]
_LIMIT = 256 * 1024


def _provisioner(errs: Errors, name: str, path: str) -> None:
    if not name:
        errs.append(required(path))
    else:
        each(errs, path, name.lower(), label_key(name.lower()))


def _parameters(errs: Errors, parameters: Object | None, *, may_be_empty: bool) -> None:
    parameters, path = parameters or {}, "parameters"
    if len(parameters) > 512:
        errs.append(too_long(path, 512))
        return
    if "" in parameters:
        errs.append(invalid(path, "", "field can not be empty."))
    if sum(len(k.encode()) + len(v.encode()) for k, v in parameters.items()) > _LIMIT:
        errs.append(too_long(path, _LIMIT))
    if not may_be_empty and not parameters:
        errs.append(required(path, "must contain at least one key/value pair"))


def _topologies(errs: Errors, terms: list[Object]) -> None:
    seen: list[dict[str, set[str]]] = [{} for _ in terms]  # upstream compares with as many empty ones first
    for i, term in enumerate(terms):
        path, keys = f"allowedTopologies[{i}]", {}
        for j, expression in enumerate(term.get("matchLabelExpressions") or ()):
            at, key, values = f"{path}.matchLabelExpressions[{j}]", expression.get("key") or "", expression.get("values") or ()
            if not values:
                errs.append(required(f"{at}.values"))
            for k, value in enumerate(values):
                if value in values[:k]:
                    errs.append(duplicate(f"{at}.values[{k}]", value))
            label_name(errs, key, f"{at}.key")
            if key in keys:
                errs.append(duplicate(f"{at}.key", key))
            keys[key] = set(values)
        errs.extend(duplicate(f"{path}.matchLabelExpressions", "") for known in seen if known == keys)
        seen.append(keys)


def storage_class(errs: Errors, obj: Thing) -> None:
    _provisioner(errs, obj.get("provisioner") or "", "provisioner")
    _parameters(errs, obj.get("parameters"), may_be_empty=True)
    policy, mode = obj.get("reclaimPolicy"), obj.get("volumeBindingMode")
    if policy and policy not in ("Delete", "Retain"):
        errs.append(not_supported("reclaimPolicy", policy, ("Delete", "Retain")))
    if mode is None:
        errs.append(required("volumeBindingMode"))
    elif mode not in ("Immediate", "WaitForFirstConsumer"):
        errs.append(not_supported("volumeBindingMode", mode, ("Immediate", "WaitForFirstConsumer")))
    _topologies(errs, obj.get("allowedTopologies") or [])


def storage_class_update(errs: Errors, new: Thing, old: Thing) -> None:
    for name in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
        immutable(errs, new.get(name), old.get(name), name)


def volume_attributes_class(errs: Errors, obj: Thing) -> None:
    _provisioner(errs, obj.get("driverName") or "", "driverName")
    _parameters(errs, obj.get("parameters"), may_be_empty=False)


def volume_attributes_class_update(errs: Errors, new: Thing, old: Thing) -> None:
    for name in ("driverName", "parameters"):
        if (new.get(name) or None) != (old.get(name) or None):
            errs.append(forbidden(name, f"updates to {name} are forbidden."))
    volume_attributes_class(errs, new)


def attachment(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    csi_driver_name(errs, spec.get("attacher") or "", "spec.attacher")
    source, path = spec.get("source") or {}, "spec.source"
    inline, volume = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if inline is None and volume is None:
        errs.append(required(path, one))
    elif inline is not None and volume is not None:
        errs.append(forbidden(path, one))
    elif inline is not None:
        volume_spec(errs, inline, "", f"{path}.inlineVolumeSpec", inline=True)
    elif not volume:
        errs.append(required(f"{path}.persistentVolumeName", "must specify non empty persistentVolumeName"))
    each(errs, "spec.nodeName", spec.get("nodeName") or "", dns_subdomain(spec.get("nodeName") or ""))
    attachment_status(errs, obj, obj)
    if volume is not None:
        each(errs, f"{path}.persistentVolumeName", volume, dns_subdomain(volume))


def attachment_status(errs: Errors, new: Thing, old: Thing) -> None:
    status = new.get("status") or {}
    if sum(len(k) + len(v) for k, v in (status.get("attachmentMetadata") or {}).items()) > _LIMIT:
        errs.append(too_long("status.attachmentMetadata", _LIMIT))
    for name in ("attachError", "detachError"):
        error = status.get(name) or {}
        if len(error.get("message") or "") > 1024:
            errs.append(too_long(f"status.{name}.message", _LIMIT))
        if (error.get("errorCode") or 0) < 0:
            errs.append(invalid(f"status.{name}.errorCode", error["errorCode"], "must be between 0 and 2147483647, inclusive"))


def attachment_update(errs: Errors, new: Thing, old: Thing) -> None:
    attachment(errs, new)
    immutable(errs, new.get("spec"), old.get("spec"), "spec", struct="storage.VolumeAttachmentSpec")


def csi_node(errs: Errors, obj: Thing) -> None:
    names: set[str] = set()
    for i, driver in enumerate((obj.get("spec") or {}).get("drivers") or ()):
        path, name, node = f"spec.drivers[{i}]", driver.get("name") or "", driver.get("nodeID") or ""
        csi_driver_name(errs, name, f"{path}.name")
        if not node:
            errs.append(required(f"{path}.nodeID"))
        if len(node) > 256:
            errs.append(invalid(f"{path}.nodeID", node, "must be 256 characters or less"))
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None and count < 0:
            errs.append(invalid(f"{path}.allocatable.count", count, NEGATIVE))
        if name in names:
            errs.append(duplicate(f"{path}.name", name))
        names.add(name)
        keys: set[str] = set()
        for key in driver.get("topologyKeys") or ():
            if not key:
                errs.append(required(path))
            if key in keys:
                errs.append(duplicate(path, key))
            keys.add(key)
            each(errs, path, key, label_key(key))


def csi_node_update(errs: Errors, new: Thing, old: Thing) -> None:
    csi_node(errs, new)
    before = {d.get("name"): d for d in (old.get("spec") or {}).get("drivers") or ()}
    for driver in (new.get("spec") or {}).get("drivers") or ():
        was = before.get(driver.get("name"))
        if was is not None and not semantic_equal(*({k: v for k, v in d.items() if k != "allocatable"} for d in (driver, was))):
            shown = {k: v for k, v in driver.items() if k != "allocatable"}
            errs.append(invalid("spec.drivers", go_struct("storage.CSINodeDriver", shown), IMMUTABLE))


def csi_driver(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    for field, shown in (
        ("attachRequired", "attachedRequired"),
        ("podInfoOnMount", "podInfoOnMount"),
        ("storageCapacity", "storageCapacity"),
    ):
        if spec.get(field) is None:
            errs.append(required(f"spec.{shown}"))
    policy, policies = spec.get("fsGroupPolicy"), ("File", "None", "ReadWriteOnceWithFSType")
    if policy is not None and policy not in policies:
        errs.append(not_supported("spec.fsGroupPolicy", policy, policies))
    audiences: set[str] = set()
    for i, token in enumerate(spec.get("tokenRequests") or ()):
        at, audience, seconds = f"spec.tokenRequests[{i}]", token.get("audience") or "", token.get("expirationSeconds")
        if audience in audiences:
            errs.append(duplicate(f"{at}.audience", audience))
            continue
        audiences.add(audience)
        if seconds is not None and seconds < 600:
            errs.append(invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
        if seconds is not None and seconds > 1 << 32:
            errs.append(invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in ("Persistent", "Ephemeral"):
            errs.append(not_supported("spec.volumeLifecycleModes", mode, ("Persistent", "Ephemeral")))
    if spec.get("seLinuxMount") is None:
        errs.append(required("spec.seLinuxMount"))
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < 10:
        errs.append(invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, "must be greater than or equal to 10 seconds"))
    in_secrets = spec.get("serviceAccountTokenInSecrets")
    if in_secrets is not None and not spec.get("tokenRequests"):
        detail = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        errs.append(invalid("spec.serviceAccountTokenInSecrets", in_secrets, detail))


def csi_driver_update(errs: Errors, new: Thing, old: Thing) -> None:
    csi_driver(errs, new)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    immutable(errs, after.get("attachRequired"), before.get("attachRequired"), "spec.attachedRequired")
    immutable(errs, after.get("volumeLifecycleModes"), before.get("volumeLifecycleModes"), "spec.volumeLifecycleModes")


def csi_storage_capacity(errs: Errors, obj: Thing) -> None:
    label_selector(errs, obj.get("nodeTopology"), "nodeTopology")
    name = obj.get("storageClassName") or ""
    each(errs, "storageClassName", name, dns_subdomain(name))
    if obj.get("capacity") is not None and quantity(obj["capacity"]) < ZERO:
        errs.append(invalid("capacity", str(quantity(obj["capacity"])), NEGATIVE))


def csi_storage_capacity_update(errs: Errors, new: Thing, old: Thing) -> None:
    for name in ("nodeTopology", "storageClassName"):
        immutable(errs, new.get(name), old.get(name), name)
