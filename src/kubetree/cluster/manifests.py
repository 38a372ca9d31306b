"""Manifests that come with Kubetree, and applying them: server-side, so that a second `up` changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import yaml

from kubetree.api.kind_table import every_kind
from kubetree.client import Client

FIELD_MANAGER = "kubetree"
_KINDS = every_kind()


def read(path: str, **values: str) -> list[dict[str, Any]]:
    """The documents of a file below this package (`demo/web.yaml`), with `$(name)` replaced by the values given."""
    text = files("kubetree.cluster").joinpath(path).read_text()
    for name, value in values.items():
        text = text.replace(f"$({name})", value)
    return [document for document in yaml.safe_load_all(text) if document]


async def apply(client: Client, objects: Iterable[dict[str, Any]]) -> None:
    """Applies objects of built-in kinds in the order given. Raises ApiError."""
    for obj in objects:
        kind = _KINDS.by_kind(obj["apiVersion"], obj["kind"])
        if kind is None:
            raise KeyError(f"{obj['apiVersion']} {obj['kind']}")
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        await client.patch(kind, metadata["name"], obj, namespace=namespace, type="apply", field_manager=FIELD_MANAGER, force=True)
