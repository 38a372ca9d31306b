"""A pod's volumes: each has a name of its own and exactly one source."""

from __future__ import annotations

from typing import Any

from kubetree.api.validation.claims import claim_spec
from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_supported, required
from kubetree.api.validation.metadata import annotation_map, labels
from kubetree.api.validation.names import dns_label, dns_subdomain
from kubetree.api.validation.pods.volume_sources import POD_SOURCES

_ISCSI_LENGTH = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_ALLOWED_TEMPLATE_METADATA = frozenset({"annotations", "labels", "creationTimestamp"})


def pull_policy(errs: Errors, value: str | None, path: str) -> None:
    if not value:
        errs.append(required(path))
    elif value not in _PULL_POLICIES:
        errs.append(not_supported(path, value, _PULL_POLICIES))


def _ephemeral(errs: Errors, source: Object, path: str) -> None:
    template = source.get("volumeClaimTemplate")
    at = f"{path}.volumeClaimTemplate"
    if template is None:
        errs.append(required(at))
        return
    metadata = template.get("metadata") or {}
    annotation_map(errs, metadata.get("annotations"), f"{at}.metadata.annotations")
    labels(errs, metadata.get("labels"), f"{at}.metadata.labels")
    for name, value in metadata.items():
        if value and name not in _ALLOWED_TEMPLATE_METADATA:
            errs.append(forbidden(f"{at}.metadata.{name}", "cannot be set"))
    claim_spec(errs, template.get("spec") or {}, f"{at}.spec")


def _source(errs: Errors, volume: dict[str, Any], path: str, pod_name: str, is_pod: bool) -> None:
    found = False
    for name, source in volume.items():
        if name == "name" or source is None:
            continue
        rule = POD_SOURCES.get(name)
        at = f"{path}.{rule[0] if rule else name}"
        if found:
            errs.append(forbidden(f"{path}.{name}", "may not specify more than 1 volume type"))
            continue
        found = True
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
    if not found:
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
