"""--runtime-config: which groups, versions and resources are served. Pure.

Follows apiserver's resourceconfig: what is more particular counts more, `api/ga` and its like more than `api/all`. What is not named is
served when its version is by default; what needs a feature gate is served only with it, whatever is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubetree.api.feature_gates import Features
from kubetree.api.kind_table import EVERY_ROW
from kubetree.api.kinds import Kind, Kinds
from kubetree.api.version_order import parsed
from kubetree.apiserver.aggregation.api_services import OWN_GROUP
from kubetree.apiserver.options.values import TRUTH

_STAGES = {2: "api/ga", 1: "api/beta", 0: "api/alpha"}
_SPECIAL = ("api/all", *_STAGES.values())
_WITHOUT_ROWS = frozenset(
    [
        "admission.k8s.io/v1",
        "admission.k8s.io/v1beta1",
        "apiextensions.k8s.io/v1beta1",
        "apiregistration.k8s.io/v1beta1",
        "apps/v1beta1",
        "apps/v1beta2",
        "authentication.k8s.io/v1alpha1",
        "authentication.k8s.io/v1beta1",
        "authorization.k8s.io/v1beta1",
        "batch/v1beta1",
        "discovery.k8s.io/v1beta1",
        "events.k8s.io/v1beta1",
        "extensions/v1beta1",
        "flowcontrol.apiserver.k8s.io/v1beta1",
        "flowcontrol.apiserver.k8s.io/v1beta2",
        "flowcontrol.apiserver.k8s.io/v1beta3",
        "imagepolicy.k8s.io/v1alpha1",
        "node.k8s.io/v1alpha1",
        "node.k8s.io/v1beta1",
        "policy/v1beta1",
        "rbac.authorization.k8s.io/v1alpha1",
        "rbac.authorization.k8s.io/v1beta1",
        "scheduling.k8s.io/v1beta1",
        "storage.k8s.io/v1alpha1",
    ]
)
"""Versions that v1.36 knows and no longer has a resource of: they may be named, and nothing comes of it."""
_VERSIONS = frozenset(row.api_version for row in EVERY_ROW) | _WITHOUT_ROWS
_GROUPS = frozenset(version.rpartition("/")[0] for version in _VERSIONS)


def served_kinds(wanted: Mapping[str, str], features: Features) -> Kinds:
    """The table of what is served. Raises ValueError, in upstream's words, for what cannot be read or is not here."""
    switches = _read(_completed(wanted)) if wanted else {}
    kept = [row for row in EVERY_ROW if (not row.gate or row.gate in features) and _enabled(row, switches)]
    if not any(row.group == OWN_GROUP for row in kept):
        raise ValueError(f"--runtime-config: API group/version {OWN_GROUP}/v1 must be enabled")
    return Kinds(kept)


def _completed(wanted: Mapping[str, str]) -> dict[str, str]:
    """`/v1` has other names, also with a resource behind it, which upstream does not look at; `api/legacy` once stood for something."""
    core = re.compile("(api/)?v1(/.*)?", re.DOTALL)
    return {"/v1" if core.fullmatch(key) else key: text for key, text in wanted.items() if key != "api/legacy"}


def _read(wanted: Mapping[str, str]) -> dict[str, bool]:
    """Stages, versions (`apps/v1`, `v1`) and resources below them, each with whether it is to be served."""
    if dict(wanted) == {"api/all": "false"}:
        raise ValueError("invalid runtime-config with only api/all=false")
    named = {key: key.split("/") for key in wanted if key not in _SPECIAL}
    for key, parts in named.items():
        if len(parts) not in (2, 3):
            raise ValueError(f"runtime-config invalid key {key}")
    unknown = sorted({_version(parts) for parts in named.values() if parts[0] not in _GROUPS})
    if unknown:
        raise ValueError(f"unknown api groups {','.join(unknown)}")
    switches: dict[str, bool] = {}
    for key in _SPECIAL:
        if wanted.get(key, "true") not in ("true", "false"):
            raise ValueError(f"invalid value {key}={wanted[key]}")
        if key in wanted:
            switches[key] = wanted[key] == "true"
    for key, parts in named.items():
        version, text = _version(parts), wanted[key]
        if version not in _VERSIONS:
            raise ValueError(f"group version {version} that has not been registered")
        if text and text not in TRUTH:
            raise ValueError(f'invalid value of {key}: {text}, err: strconv.ParseBool: parsing "{text}": invalid syntax')
        if len(parts) == 3 and parts[2] != parts[2].lower():
            raise ValueError(f'invalid key {key}: group/version/resource and resource is always lowercase plural, not "{parts[2]}"')
        switches["/".join([version, *parts[2:]])] = TRUTH.get(text, True)
    return switches


def _version(parts: list[str]) -> str:
    """As an object's apiVersion has it: the core group, which is '' before the slash, goes without one."""
    return "/".join(parts[:2]) if parts[0] else parts[1]


def _enabled(row: Kind, switches: Mapping[str, bool]) -> bool:
    found = parsed(row.version)
    stage = _STAGES[found[0]] if found is not None else ""
    for key in (f"{row.api_version}/{row.plural}", row.api_version, stage, "api/all"):
        if key in switches:
            return switches[key]
    return not row.optional
