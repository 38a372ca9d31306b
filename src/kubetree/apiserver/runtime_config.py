"""--runtime-config: which groups, versions and resources are served. Pure.

Follows apiserver's resourceconfig: what is more particular counts more, `api/ga` and its like more than `api/all`.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubetree.api.kinds import Kind, Kinds
from kubetree.api.version_order import parsed
from kubetree.apiserver.aggregation.api_services import OWN_GROUP

_STAGES = {2: "api/ga", 1: "api/beta", 0: "api/alpha"}
_SPECIAL = ("api/all", "api/legacy", *_STAGES.values())


def narrowed(kinds: Kinds, wanted: Mapping[str, str]) -> Kinds:
    """The table with what is asked for. Raises ValueError for what cannot be read or is not here."""
    switches: dict[str, bool] = {}
    for key, text in wanted.items():
        if text not in ("true", "false"):
            raise ValueError(f"--runtime-config: invalid value {key}={text}: neither true nor false")
        switches[key] = text == "true"
    known = {name for row in kinds for name in (row.api_version, f"{row.api_version}/{row.plural}")}
    for key in switches:
        if key in _SPECIAL:
            continue
        if key not in known and switches[key]:
            raise ValueError(f"--runtime-config: unknown api groups/versions/resources {key}: this server has none of that name")
    kept = [row for row in kinds if _enabled(row, switches)]
    if not any(row.group == OWN_GROUP for row in kept):
        raise ValueError(f"--runtime-config: API group/version {OWN_GROUP}/v1 must be enabled")
    return Kinds(kept)


def _enabled(row: Kind, switches: Mapping[str, bool]) -> bool:
    found = parsed(row.version)
    stage = _STAGES[found[0]] if found is not None else ""
    for key in (f"{row.api_version}/{row.plural}", row.api_version, stage, "api/all"):
        if key in switches:
            return switches[key]
    return True
