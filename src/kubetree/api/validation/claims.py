"""The spec of a persistent volume claim: of claims, of templates in stateful sets and of ephemeral volumes."""

from __future__ import annotations

from collections.abc import Iterable

from kubetree.api.validation.errors import Errors, Object, each, forbidden, invalid, not_supported, required
from kubetree.api.validation.metadata import label_selector
from kubetree.api.validation.names import dns_label, dns_subdomain
from kubetree.api.validation.resources import amount, positive

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
_DEFAULT_GROUP = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"


def access_modes(errs: Errors, modes: Iterable[str], path: str) -> None:
    once = other = False
    for mode in modes:
        if mode not in ACCESS_MODES:
            errs.append(not_supported(path, mode, ACCESS_MODES))
        elif mode == "ReadWriteOncePod":
            once = True
        else:
            other = True
    if once and other:
        errs.append(forbidden(path, "may not use ReadWriteOncePod with other access modes"))


def _data_source(errs: Errors, source: Object, path: str, any_group: bool) -> None:
    group, kind = source.get("apiGroup") or "", source.get("kind") or ""
    for name in ("name", "kind"):
        if not source.get(name):
            errs.append(required(f"{path}.{name}"))
    if not group and kind != "PersistentVolumeClaim":
        errs.append(invalid(path, kind, _DEFAULT_GROUP))
    if group and not any_group:
        each(errs, f"{path}.apiGroup", group, dns_subdomain(group))
    if source.get("namespace"):
        each(errs, f"{path}.namespace", source["namespace"], dns_label(source["namespace"]))


def claim_spec(errs: Errors, spec: Object, path: str, *, any_group: bool = False) -> None:
    """`any_group`: groups of data sources are not checked, as on updates of claims that have one."""
    modes = spec.get("accessModes") or ()
    if not modes:
        errs.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    label_selector(errs, spec.get("selector"), f"{path}.selector")
    access_modes(errs, modes, f"{path}.accessModes")
    at = f"{path}.resources[storage]"
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        errs.append(required(at))
    elif positive(errs, storage, at):
        amount(errs, "storage", storage, at)
    if spec.get("storageClassName"):
        each(errs, f"{path}.storageClassName", spec["storageClassName"], dns_subdomain(spec["storageClassName"]))
    if spec.get("volumeMode") is not None and spec["volumeMode"] not in VOLUME_MODES:
        errs.append(not_supported(f"{path}.volumeMode", spec["volumeMode"], VOLUME_MODES))
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None:
        _data_source(errs, source, f"{path}.dataSource", any_group)
    if reference is not None:
        _data_source(errs, reference, f"{path}.dataSourceRef", any_group)
    if source is not None and reference is not None:
        if reference.get("namespace"):
            errs.append(invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified"))
        elif any(source.get(n) != reference.get(n) for n in ("apiGroup", "kind", "name")):
            errs.append(invalid(path, {}, "must match dataSourceRef"))
    if spec.get("volumeAttributesClassName"):
        name = spec["volumeAttributesClassName"]
        each(errs, f"{path}.volumeAttributesClassName", name, dns_subdomain(name))
