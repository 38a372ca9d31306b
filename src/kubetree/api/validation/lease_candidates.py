"""LeaseCandidates: servers that could lead, each with its version. Follows pkg/apis/coordination/validation."""

from __future__ import annotations

from typing import Any

from kubetree.api.cel.functions.semver import SemverValue, parse
from kubetree.api.validation.errors import Errors, each, invalid, not_supported, required
from kubetree.api.validation.metadata import immutable
from kubetree.api.validation.names import label_key

Thing = dict[str, Any]
OLDEST = "OldestEmulationVersion"


def create(errs: Errors, obj: Thing) -> None:
    spec = obj.get("spec") or {}
    if not spec.get("leaseName"):
        errs.append(required("spec.leaseName"))
    emulation = _version(errs, spec.get("emulationVersion") or "", "spec.emulationVersion")
    text = spec.get("binaryVersion") or ""
    if not text:
        errs.append(required("spec.binaryVersion"))
    binary = _version(errs, text, "spec.binaryVersion")
    if text and spec.get("emulationVersion") and binary.key < emulation.key:
        errs.append(invalid("spec.binaryVersion", text, "must be greater than or equal to `emulationVersion`"))
    wanted = spec.get("strategy") or ""
    if not wanted:
        errs.append(required("spec.strategy"))
        return
    if wanted == OLDEST and emulation.equals(_ZERO):
        errs.append(required("spec.emulationVersion", f"must be specified when `strategy` is '{OLDEST}'"))
    strategy(errs, wanted)


def update(errs: Errors, new: Thing, old: Thing) -> None:
    create(errs, new)
    name, before = ((obj.get("spec") or {}).get("leaseName") or "" for obj in (new, old))
    immutable(errs, name, before, "spec.leaseName")


def strategy(errs: Errors, value: str) -> None:
    """How one of several candidates is chosen: Kubernetes' own or a qualified name. Of Leases too."""
    if "/" in value:
        each(errs, "spec.strategy.strategy", value, label_key(value))
    elif value != OLDEST:
        errs.append(not_supported("spec.strategy.strategy", value, (OLDEST,)))


_ZERO = SemverValue((0, 0, 0), [])


def _version(errs: Errors, text: str, path: str) -> SemverValue:
    """What cannot be read counts as zero."""
    try:
        return parse(text) if text else _ZERO
    except ValueError:
        errs.append(invalid(path, text, "must be a valid semantic version"))
        return _ZERO
