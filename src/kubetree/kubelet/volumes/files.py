"""From config maps, secrets, pod fields and tokens to files: what the four API-fed kinds of volume share."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from kubetree.kubelet import downward
from kubetree.kubelet.volumes.atomic_writer import Content
from kubetree.kubelet.volumes.plugin import Request, VolumeError

Object = dict[str, Any]
Files = dict[str, Content]

DEFAULT_MODE = 0o644


def select(data: Mapping[str, bytes], source: Object, default_mode: int, missing: str, optional: bool) -> Files:
    """The keys that `source.items` asks for, or all of them. Raises VolumeError with `missing` when one is not there."""
    items = source.get("items")
    if not items:
        return {key: Content(value, default_mode) for key, value in data.items()}
    files: Files = {}
    for item in items:
        if item["key"] in data:
            files[item["path"]] = Content(data[item["key"]], _mode(item.get("mode"), default_mode))
        elif not optional:
            raise VolumeError(missing)
    return files


def _mode(value: int | None, default: int) -> int:
    return default if value is None else value


def config_map_bytes(config_map: Object) -> dict[str, bytes]:
    text = {key: value.encode() for key, value in (config_map.get("data") or {}).items()}
    return text | {key: base64.b64decode(value) for key, value in (config_map.get("binaryData") or {}).items()}


def secret_bytes(secret: Object) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


async def config_map_files(request: Request, source: Object, default_mode: int) -> Files:
    name, optional = source.get("name", ""), bool(source.get("optional"))
    found = await request.surroundings.config_map(request.namespace, name)
    if found is None:
        if optional:
            return {}
        raise VolumeError(f'configmap "{name}" not found')
    return select(config_map_bytes(found), source, default_mode, "configmap references non-existent config key: " + _keys(source), optional)


async def secret_files(request: Request, source: Object, default_mode: int) -> Files:
    name, optional = source.get("secretName") or source.get("name", ""), bool(source.get("optional"))
    found = await request.surroundings.secret(request.namespace, name)
    if found is None:
        if optional:
            return {}
        raise VolumeError(f'secret "{name}" not found')
    return select(secret_bytes(found), source, default_mode, "references non-existent secret key: " + _keys(source), optional)


def _keys(source: Object) -> str:
    return ",".join(item["key"] for item in source.get("items") or ())


async def downward_files(request: Request, source: Object, default_mode: int) -> Files:
    files: Files = {}
    addresses = request.surroundings.addresses(request.pod)
    for item in source.get("items") or ():
        try:
            if item.get("fieldRef"):
                text = downward.field_value(request.pod, item["fieldRef"]["fieldPath"], addresses)
            else:
                reference = item["resourceFieldRef"]
                text = downward.resource_value(request.pod, reference["containerName"], reference, request.surroundings.node)
        except downward.FieldError as error:
            raise VolumeError(str(error)) from error
        files[item["path"]] = Content(text.encode(), _mode(item.get("mode"), default_mode))
    return files


async def token_files(request: Request, source: Object, default_mode: int) -> Files:
    token = await request.surroundings.token(request.pod, source)
    owned = request.fs_user is not None or request.fs_group is not None
    return {source["path"]: Content(token.encode(), 0o600 if owned else default_mode, request.fs_user)}
