"""Objects as Tables and as metadata only: what `kubectl get` and metadata informers ask for by Accept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kubetree.api import errors
from kubetree.api.defaults.autoscaling import ROUND_TRIP
from kubetree.api.kinds import Kind, go_type
from kubetree.api.printers import cells, columns, in_order
from kubetree.apiserver.wire.negotiation import Output
from kubetree.apiserver.wire.request_info import Query, first

Object = dict[str, Any]
_INCLUDE = ("", "Metadata", "Object", "None")


def include_object(query: Query) -> str:
    """What a Table's rows carry besides cells. Raises BadRequest."""
    wanted = first(query, "includeObject")
    if wanted not in _INCLUDE:
        detail = f"includeObject: Invalid value: \"{wanted}\": must be 'Metadata', 'Object', 'None', or empty"
        raise errors.BadRequest(f"Unable to convert to Table as requested: {detail}")
    return wanted or "Metadata"


_OF_THE_SPEC = {
    "DaemonSet": frozenset({"deprecated.daemonset.template.generation"}),
    "HorizontalPodAutoscaler": ROUND_TRIP,
}
"""Annotations that say what the older version of a kind has no field for: they come with that version, not with the metadata."""


def partial(obj: Object, version: str) -> Object:
    metadata = obj.get("metadata") or {}
    if "annotations" in metadata and (hidden := _OF_THE_SPEC.get(obj.get("kind") or "")):
        kept = {name: text for name, text in metadata["annotations"].items() if name not in hidden}
        metadata = {name: value for name, value in metadata.items() if name != "annotations"} | ({"annotations": kept} if kept else {})
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": metadata}


def table(
    kind: Kind, objs: Sequence[Object], metadata: Object, version: str, include: str, now: datetime, *, headers: bool = True
) -> Object:
    """metav1.Table. `metadata` is the list's, or of a single object its resourceVersion."""
    rows = []
    for obj in objs:
        row: Object = {"cells": cells(kind, obj, now)}
        if include == "Metadata":
            row["object"] = partial(obj, version)
        elif include == "Object":
            row["object"] = obj
        else:
            row["object"] = None
        rows.append(row)
    found: Object = {"kind": "Table", "apiVersion": f"meta.k8s.io/{version}", "metadata": metadata}
    found["columnDefinitions"] = columns(kind) if headers else None
    found["rows"] = rows
    return found


def transform_one(kind: Kind, obj: Object, output: Output, query: Query, now: datetime, *, headers: bool = True) -> Object:
    """A single object as `output` wants it."""
    if obj.get("kind") == "Status" and obj.get("apiVersion") == "v1":
        return obj
    if output.as_kind == "Table":
        revision = (obj.get("metadata") or {}).get("resourceVersion", "")
        metadata = {"resourceVersion": revision} if revision else {}
        return table(kind, [obj], metadata, output.as_version, include_object(query), now, headers=headers)
    if output.as_kind == "PartialObjectMetadata":
        return partial(obj, output.as_version)
    raise _not_acceptable(output, f"not a list (*{go_type(kind.group, kind.kind)})")


def transform_list(kind: Kind, objs: Sequence[Object], metadata: Object, output: Output, query: Query, now: datetime) -> Object:
    if output.as_kind == "Table":
        return table(kind, in_order(kind, objs), metadata, output.as_version, include_object(query), now)
    if output.as_kind == "PartialObjectMetadataList":
        api_version = f"meta.k8s.io/{output.as_version}"
        items = [partial(obj, output.as_version) for obj in objs]
        return {"kind": "PartialObjectMetadataList", "apiVersion": api_version, "metadata": metadata, "items": items}
    raise _not_acceptable(output, f"a list (*{go_type(kind.group, kind.kind)}List)")


def _not_acceptable(output: Output, what: str) -> errors.NotAcceptable:
    return errors.NotAcceptable(f"you requested {output.as_kind}, but the requested object is {what}")
