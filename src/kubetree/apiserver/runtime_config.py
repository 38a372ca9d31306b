"""--runtime-config: which groups, versions and resources are served. Pure.

Follows apiserver's resourceconfig: what is more particular counts more, `api/ga` and its like more than `api/all`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubetree.api.kinds import Kind, Kinds
from kubetree.api.version_order import parsed
from kubetree.apiserver.aggregation.api_services import OWN_GROUP
from kubetree.apiserver.flag_values import TRUTH

_STAGES = {2: "api/ga", 1: "api/beta", 0: "api/alpha"}
_SPECIAL = ("api/all", *_STAGES.values())
_CORE = re.compile(r"(?:api/)?v1(?:/.*)?")
"""Old names of the core group: whatever follows, they are for the whole of it, which is `/v1` among those with a group."""


def narrowed(kinds: Kinds, wanted: Mapping[str, str]) -> Kinds:
    """The table with what is asked for. Raises ValueError for what cannot be read or is not here."""
    if dict(wanted) == {"api/all": "false"}:
        raise ValueError("invalid runtime-config with only api/all=false")
    wanted = {"/v1" if _CORE.fullmatch(key) else key: text for key, text in wanted.items() if key != "api/legacy"}
    versions = {f"{row.group}/{row.version}" for row in kinds}
    groups = {row.group for row in kinds}
    switches: dict[str, bool] = {}
    unknown: list[str] = []
    for key, text in wanted.items():
        parts = key.split("/")
        version = "/".join(parts[:2])
        if key in _SPECIAL:
            if text not in ("true", "false"):
                raise ValueError(f"invalid value {key}={text}")
        elif len(parts) not in (2, 3):
            raise ValueError(f"runtime-config invalid key {key}")
        elif parts[0] not in groups:
            unknown.append(version)
        elif version not in versions:
            raise ValueError(f"group version {version.removeprefix('/')} that has not been registered")
        elif text and text not in TRUTH:
            raise ValueError(f'invalid value of {key}: {text}, err: strconv.ParseBool: parsing "{text}": invalid syntax')
        elif parts[2:] != [part.lower() for part in parts[2:]]:
            raise ValueError(f'invalid key {key}: group/version/resource and resource is always lowercase plural, not "{parts[2]}"')
        switches[key] = TRUTH.get(text, True)
    if unknown:
        raise ValueError(f"unknown api groups {','.join(sorted(set(unknown)))}")
    kept = [row for row in kinds if _enabled(row, switches)]
    if not any(row.group == OWN_GROUP for row in kept):
        raise ValueError(f"--runtime-config: API group/version {OWN_GROUP}/v1 must be enabled")
    return Kinds(kept)


def _enabled(row: Kind, switches: Mapping[str, bool]) -> bool:
    found = parsed(row.version)
    stage = _STAGES[found[0]] if found is not None else ""
    version = f"{row.group}/{row.version}"
    for key in (f"{version}/{row.plural}", version, stage, "api/all"):
        if key in switches:
            return switches[key]
    return True
