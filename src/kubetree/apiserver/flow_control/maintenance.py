"""Keeps the objects of bootstrap.py in the store as upstream's ensurer does: at start, and once a minute.

Mandatory ones are always put right. Suggested ones follow their annotation: an administrator who edits one without it is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubetree.api import errors
from kubetree.api.defaults import apply_defaults
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.objects import condition, copy
from kubetree.apiserver.flow_control import bootstrap
from kubetree.apiserver.flow_control.bootstrap import AUTO_UPDATE
from kubetree.apiserver.registry import Writer

Object = dict[str, Any]
FLOW_SCHEMA = kind("flowcontrol.apiserver.k8s.io/v1", "FlowSchema")
PRIORITY_LEVEL = kind("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration")

_PRODUCER = "api-priority-and-fairness-config-producer-v1"
CONSUMER = "api-priority-and-fairness-config-consumer-v1"
"""Who manages the status of schemas."""

# Levels come before the schemas that name them.
_TABLE = (
    (PRIORITY_LEVEL, bootstrap.SUGGESTED_LEVELS, bootstrap.MANDATORY_LEVELS),
    (FLOW_SCHEMA, bootstrap.SUGGESTED_SCHEMAS, bootstrap.MANDATORY_SCHEMAS),
)


async def ensure_objects(writer: Writer) -> None:
    for row, suggested, mandatory in _TABLE:
        standing = {obj["metadata"]["name"]: obj for obj in await writer.list(row)}
        for wanted in (*suggested, *mandatory):
            await _ensure(writer, row, wanted, standing.get(wanted["metadata"]["name"]), always=wanted in mandatory)
        await _remove_old(writer, row, list(standing.values()), {o["metadata"]["name"] for o in (*suggested, *mandatory)})


async def _ensure(writer: Writer, row: Kind, wanted: Object, standing: Object | None, *, always: bool) -> None:
    name = wanted["metadata"]["name"]
    try:
        if standing is None:
            metadata = {"name": name, "annotations": {AUTO_UPDATE: "true"}}
            await writer.create(row, {"metadata": metadata, "spec": copy(wanted["spec"])}, manager=_PRODUCER)
        elif corrected(row, standing, wanted, always=always) is not None:
            await writer.update(row, "", name, lambda current: corrected(row, current, wanted, always=always), manager=_PRODUCER)
    except (errors.AlreadyExists, errors.NotFound):
        return  # another server, or an administrator, was faster; the next round looks again


def corrected(row: Kind, standing: Object, wanted: Object, *, always: bool) -> Object | None:
    """What an object should be; None where it may stay as it is."""
    annotations = standing["metadata"].get("annotations") or {}
    said = annotations.get(AUTO_UPDATE)
    automatic = always or (said == "true" if said in ("true", "false") else standing["metadata"].get("generation") == 1)
    flag = "true" if automatic else "false"
    spec = _defaulted(row, wanted) if automatic else standing["spec"]
    if spec == standing["spec"] and said == flag:
        return None
    metadata = standing["metadata"] | {"annotations": annotations | {AUTO_UPDATE: flag}}
    return standing | {"metadata": metadata, "spec": spec}


def _defaulted(row: Kind, wanted: Object) -> Object:
    whole = copy(wanted)
    apply_defaults(row, whole)
    spec: Object = whole["spec"]
    return spec


async def _remove_old(writer: Writer, row: Kind, standing: Sequence[Object], known: set[str]) -> None:
    """Takes away what an older release had suggested, as long as nobody has taken it over."""
    for obj in standing:
        metadata = obj["metadata"]
        if metadata["name"] not in known and (metadata.get("annotations") or {}).get(AUTO_UPDATE) == "true":
            try:
                await writer.delete(row, "", metadata["name"], uid=metadata["uid"], resource_version=metadata["resourceVersion"])
            except (errors.NotFound, errors.Conflict):
                continue


def dangling(schema: Object, levels: set[str], now: str) -> Object | None:
    """The condition that says whether a schema's level exists; None where it says so already."""
    level = schema["spec"]["priorityLevelConfiguration"]["name"]
    found = level in levels
    text = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" '
    said = {
        "type": "Dangling",
        "status": "False" if found else "True",
        "reason": "Found" if found else "NotFound",
        "message": text + ("and it exists" if found else "but there is no such object"),
    }
    before = condition(schema, "Dangling") or {}
    if all(before.get(key) == value for key, value in said.items()):
        return None
    return said | {"lastTransitionTime": now}
