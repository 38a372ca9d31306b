"""StorageVersionMigrations: which resource is written anew, and how far that is. Follows pkg/apis/storagemigration/validation."""

from __future__ import annotations

from typing import Any

from kubetree.api.objects import has_condition
from kubetree.api.validation.errors import Errors, invalid, required
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.metadata import IMMUTABLE, conditions, immutable
from kubetree.api.validation.names import dns_1035_label, dns_subdomain

Thing = dict[str, Any]


def create(errs: Errors, obj: Thing) -> None:
    found = (obj.get("spec") or {}).get("resource") or {}
    path, group, resource = "spec.resource", found.get("group") or "", found.get("resource") or ""
    if not resource:
        errs.append(required(f"{path}.resource", "resource is required to be set"))
    elif messages := dns_1035_label(resource):
        errs.append(invalid(f"{path}.resource", resource, ",".join(messages)))
    if group and (messages := dns_subdomain(group)):
        errs.append(invalid(f"{path}.group", group, ",".join(messages)))


def update(errs: Errors, new: Thing, old: Thing) -> None:
    create(errs, new)
    immutable(errs, new.get("spec") or {}, old.get("spec") or {}, "spec", struct="storagemigration.StorageVersionMigrationSpec")


def status(errs: Errors, new: Thing, old: Thing) -> None:
    now, before = new.get("status") or {}, old.get("status") or {}
    revision, started = now.get("resourceVersion") or "", before.get("resourceVersion") or ""
    if revision and (problem := _revision_problem(revision)):
        errs.append(invalid("status.resourceVersion", revision, problem))
    conditions(errs, now.get("conditions"), "status.conditions")
    if started and started != revision:
        errs.append(invalid("status.resourceVersion", revision, IMMUTABLE))
    shown = [go_struct("meta.Condition", condition) for condition in now.get("conditions") or ()] or None
    if has_condition(new, "Succeeded") and has_condition(new, "Failed"):
        errs.append(invalid("status.conditions", shown, "Both success and failed conditions cannot be true at the same time"))
    for sort, name in (("Succeeded", "Success"), ("Failed", "Failed")):
        if has_condition(old, sort) and not has_condition(new, sort):
            errs.append(invalid("status.conditions", shown, f"{name} condition cannot be set to false once it is true"))


def _revision_problem(text: str) -> str:
    if text.isdecimal() and text.isascii() and not text.startswith("0"):
        return ""
    return f"resource version is not well formed: {text}"
