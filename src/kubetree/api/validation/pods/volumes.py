"""A pod's volumes: each has a name of its own and exactly one source."""

from __future__ import annotations

from typing import Any

from kubetree.api.validation.claims import claim_spec
from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_supported, required
from kubetree.api.validation.metadata import annotation_map, labels
from kubetree.api.validation.names import dns_label, dns_subdomain
from kubetree.api.validation.pods.volume_sources import POD_SOURCES, SHOWN

_ISCSI_LENGTH = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_ORDER = [*POD_SOURCES, "ephemeral", "image"]
_TEMPLATE_METADATA = {"annotations": None, "labels": None, "uid": "uID"}
"""Metadata that templates may have, and names that upstream's messages spell otherwise."""


def pull_policy(errs: Errors, value: str | None, path: str) -> None:
    if not value:
        errs.append(required(path))
    elif value not in _PULL_POLICIES:
        errs.append(not_supported(path, value, _PULL_POLICIES))


def only_labels_and_annotations(errs: Errors, metadata: Object, path: str) -> None:
    """Templates of claims have no other metadata: also what is set to nothing counts."""
    for name in sorted(metadata):
        shown = _TEMPLATE_METADATA.get(name, name)
        value = metadata[name]
        if shown is not None and value is not None and value not in ("", 0):
            errs.append(forbidden(f"{path}.{shown}", "cannot be set"))


def _ephemeral(errs: Errors, source: Object, path: str) -> None:
    template = source.get("volumeClaimTemplate")
    at = f"{path}.volumeClaimTemplate"
    if template is None:
        errs.append(required(at))
        return
    metadata = template.get("metadata") or {}
    annotation_map(errs, metadata.get("annotations"), f"{at}.metadata.annotations")
    labels(errs, metadata.get("labels"), f"{at}.metadata.labels")
    only_labels_and_annotations(errs, metadata, f"{at}.metadata")
    claim_spec(errs, template.get("spec") or {}, f"{at}.spec")


def _source(errs: Errors, volume: dict[str, Any], path: str, pod_name: str, is_pod: bool) -> None:
    given = [name for name, source in volume.items() if name != "name" and source is not None]
    if len(given) > 1:
        given.sort(key=_ORDER.index)
    for place, name in enumerate(given):
        source, rule = volume[name], POD_SOURCES.get(name)
        at = f"{path}.{rule[0] if rule else name}"
        if place:
            errs.append(forbidden(f"{path}.{SHOWN.get(name, name)}", "may not specify more than 1 volume type"))
            continue
        if rule is not None:
            rule[1](errs, source, at)
            if name == "iscsi" and source.get("initiatorName") is not None:
                text = f"{volume.get('name') or ''}:{source.get('targetPortal') or ''}"
                if len(text) > 64:
                    errs.append(invalid(f"{path}.name", volume.get("name") or "", _ISCSI_LENGTH))
        elif name == "ephemeral":
            _ephemeral(errs, source, at)
            if pod_name and volume.get("name"):
                claim = f"{pod_name}-{volume['name']}"
                each(errs, f"{path}.name", volume["name"], [f'PVC name "{claim}": {m}' for m in dns_subdomain(claim)])
        elif name == "image":
            if is_pod and not source.get("reference"):
                errs.append(required(f"{at}.reference"))
            pull_policy(errs, source.get("pullPolicy"), f"{at}.pullPolicy")
    if not given:
        errs.append(required(path, "must specify a volume type"))


def volumes(errs: Errors, values: list[dict[str, Any]], path: str, pod_name: str, is_pod: bool) -> dict[str, dict[str, Any]]:
    """Returns the valid ones by name. `pod_name` is '' in a template."""
    known: dict[str, dict[str, Any]] = {}
    claims = {f"{pod_name}-{v.get('name')}" for v in values if v.get("ephemeral") is not None} if pod_name else ()
    for i, volume in enumerate(values):
        at, count, name = f"{path}[{i}]", len(errs), volume.get("name") or ""
        _source(errs, volume, at, pod_name, is_pod)
        if not name:
            errs.append(required(f"{at}.name"))
        else:
            bad = dns_label(name)
            if bad:
                each(errs, f"{at}.name", name, bad)
        if name in known:
            errs.append(duplicate(f"{at}.name", name))
        if len(errs) == count:
            known[name] = volume
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim and claim in claims:
            detail = "must not reference a PVC that gets created for an ephemeral volume"
            errs.append(invalid(f"{at}.persistentVolumeClaim.claimName", claim, detail))
    return known
