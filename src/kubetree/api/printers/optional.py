"""Cells of kinds that are served only when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubetree.api.printers.text import created, listed

Object = Mapping[str, Any]


def storage_version(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status") or {}
    entries = [f"{entry['apiServerID']}={entry['encodingVersion']}" for entry in status.get("storageVersions") or ()]
    return [obj["metadata"]["name"], status.get("commonEncodingVersion") or "<unset>", listed(entries, 3), created(obj, now)]
