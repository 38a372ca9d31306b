"""Configuration files of the server itself: strict YAML of one kind, and noticing that a file has changed.

For EncryptionConfiguration, AuthenticationConfiguration and AuthorizationConfiguration; each says what it looks like as a Shape.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

log = logging.getLogger(__name__)
Object = dict[str, Any]
Shape = Any
"""A dict of field names to Shapes, a list of one Shape, `str`, `int`, `bool`, or `dict` for anything."""

POLL_SECONDS = 1.0
_AFTER_FAILURE = 10.0
_NAMES = {str: "string", int: "int", bool: "bool"}


def parse_configuration(text: bytes, kind: str, api_versions: tuple[str, ...], shape: dict[str, Shape]) -> Object:
    """The decoded object; fields that are null are left out. Raises ValueError for another kind, unknown fields and wrong types."""
    try:
        found = yaml.load(text, Loader=_Strict)
    except yaml.YAMLError as error:
        raise ValueError(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("couldn't get version/kind; json parse error: the file holds no object")
    version, given = found.get("apiVersion") or "", found.get("kind") or ""
    if not given or not version:
        raise ValueError(f"Object '{'Kind' if not given else 'apiVersion'}' is missing: use kind {kind} of {api_versions[0]}")
    if given != kind or version not in api_versions:
        raise ValueError(f'no kind "{given}" is registered for version "{version}": use kind {kind} of {" or ".join(api_versions)}')
    faults = list(_faults(found, {"apiVersion": str, "kind": str, **shape}, ""))
    if faults:
        raise ValueError(f"strict decoding error: {', '.join(faults)}")
    complete: Object = without_nulls(found)
    return complete


def without_nulls(value: Any) -> Any:
    """A null member is as good as an absent one, as Go decodes it."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


class _Strict(yaml.SafeLoader):
    """Refuses repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = next((key for i, key in enumerate(keys) if key in keys[:i]), None)
        if repeated is not None:
            raise yaml.YAMLError(f'key "{repeated}" already set in map')
        return super().construct_mapping(node, deep)


def _faults(value: Any, shape: Shape, at: str) -> Iterator[str]:
    if value is None or shape is dict:
        return
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f'"{at}" must be an object'
            return
        for key, inner in value.items():
            path = f"{at}.{key}" if at else str(key)
            if key not in shape:
                yield f'unknown field "{path}"'
            else:
                yield from _faults(inner, shape[key], path)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f'"{at}" must be a list'
            return
        for i, inner in enumerate(value):
            yield from _faults(inner, shape[0], f"{at}[{i}]")
    elif not isinstance(value, shape) or (shape is int and isinstance(value, bool)):
        yield f'"{at}" must be of type {_NAMES[shape]}'


async def follow_file(
    path: Path, text: bytes, reload: Callable[[bytes], Awaitable[None]], told: Callable[[bytes | None], None] = lambda content: None
) -> None:
    """Calls `reload` with the file's new content whenever it is no longer `text`; runs until cancelled.

    What `reload` refuses (ValueError, OSError) is logged and tried again later; the server goes on with what it has. `told` hears of
    each attempt: what was taken up, or None.
    """
    seen: tuple[int, ...] = ()
    while True:
        await asyncio.sleep(POLL_SECONDS)
        try:
            stat = path.stat()
            now = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if now == seen:
                continue
            content = path.read_bytes()
            if content != text:
                await reload(content)
                text = content
                told(content)
            seen = now
        except (ValueError, OSError) as error:
            log.error("%s has changed but cannot be used, the old configuration stays: %s", path, error)
            told(None)
            await asyncio.sleep(_AFTER_FAILURE * POLL_SECONDS)
