"""CustomResourceDefinitions at v1beta1: no longer served, but the form in which upstream keeps them in etcd to this day.

What all versions have in common stands once in v1beta1, beside the versions; v1 has it in each of them.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
_COLUMN = {"JSONPath": "jsonPath"}
_COLUMN_OF_V1 = {new: old for old, new in _COLUMN.items()}
_COMMON = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}
"""Of a version in v1, and of the spec in v1beta1."""


def to_v1(old: Object) -> Object:
    """With v1beta1's defaults: unknown fields are kept, one version may be named outside the list."""
    spec: Object = dict(old.get("spec") or {})
    named, common = spec.pop("version", ""), {new: spec.pop(beta, None) for new, beta in _COMMON.items()}
    versions = spec.get("versions") or ([{"name": named, "served": True, "storage": True}] if named else [])
    spec["versions"] = [_version_of_v1(version, common) for version in versions]
    spec.setdefault("scope", "Namespaced")
    names = spec["names"] = dict(spec.get("names") or {})
    if not names.get("singular"):
        names["singular"] = (names.get("kind") or "").lower()
    if not names.get("listKind") and names.get("kind"):
        names["listKind"] = f"{names['kind']}List"
    if spec.get("preserveUnknownFields") is not False:
        spec["preserveUnknownFields"] = True
    else:
        del spec["preserveUnknownFields"]
    spec["conversion"] = _conversion_of_v1(spec.get("conversion") or {"strategy": "None"})
    status: Object = {field: value for field, value in (old.get("status") or {}).items() if value is not None}
    if not status.get("storedVersions"):
        status["storedVersions"] = [version["name"] for version in versions if version.get("storage")][:1]
    return {**old, "spec": spec, "status": status}


def to_v1beta1(new: Object) -> Object:
    spec: Object = dict(new.get("spec") or {})
    versions = [dict(version) for version in spec.get("versions") or ()]
    if versions:
        spec["version"] = versions[0]["name"]
    for field, beta in _COMMON.items():
        first = versions[0].get(field) if versions else None
        if first is None or any(version.get(field) != first for version in versions):
            continue
        spec[beta] = first
        for version in versions:
            del version[field]
    for place in (spec, *versions):
        if place.get("additionalPrinterColumns"):
            place["additionalPrinterColumns"] = [_renamed(column, _COLUMN_OF_V1) for column in place["additionalPrinterColumns"]]
    spec["versions"] = versions
    spec["preserveUnknownFields"] = spec.get("preserveUnknownFields") or False
    conversion = spec.get("conversion")
    if conversion is not None:
        spec["conversion"] = _conversion_of_v1beta1(conversion)
    return {**new, "spec": spec}


def _version_of_v1(old: Object, common: Object) -> Object:
    new = dict(old)
    new.update((field, value) for field, value in common.items() if value is not None)
    if new.get("additionalPrinterColumns"):
        new["additionalPrinterColumns"] = [_renamed(column, _COLUMN) for column in new["additionalPrinterColumns"]]
    return new


def _conversion_of_v1(old: Object) -> Object:
    new: Object = {"strategy": old.get("strategy") or "None"}
    config, versions = old.get("webhookClientConfig"), old.get("conversionReviewVersions")
    if new["strategy"] == "Webhook" and not versions:
        versions = ["v1beta1"]
    if config is not None or versions:
        new["webhook"] = {"conversionReviewVersions": versions or []}
        if config is not None:
            service = config.get("service")
            new["webhook"]["clientConfig"] = {**config, "service": {"port": 443, **service}} if service else config
    return new


def _conversion_of_v1beta1(new: Object) -> Object:
    old: Object = {"strategy": new.get("strategy") or "None"}
    webhook = new.get("webhook") or {}
    if webhook.get("clientConfig") is not None:
        old["webhookClientConfig"] = webhook["clientConfig"]
    if webhook.get("conversionReviewVersions"):
        old["conversionReviewVersions"] = webhook["conversionReviewVersions"]
    return old


def _renamed(column: Object, names: dict[str, str]) -> Object:
    return {names.get(field, field): value for field, value in column.items()}
