"""configMap, secret, downwardAPI and projected volumes: files that follow the API, written atomically and kept up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kubetree.kubelet.volumes import atomic_writer, files
from kubetree.kubelet.volumes.plugin import Request, Volume

Object = dict[str, Any]
Reader = Callable[[Request, Object, int], Awaitable[files.Files]]


async def _projected(request: Request, source: Object, default_mode: int) -> files.Files:
    merged: files.Files = {}
    for part in source.get("sources") or ():
        for name, reader in PROJECTIONS.items():
            if part.get(name) is not None:
                merged |= await reader(request, part[name], default_mode)
    return merged


PROJECTIONS: Mapping[str, Reader] = {
    "secret": files.secret_files,
    "configMap": files.config_map_files,
    "downwardAPI": files.downward_files,
    "serviceAccountToken": files.token_files,
}


class ApiVolume:
    """A plugin whose files come from a reader; read-only in the container."""

    def __init__(self, source: str, directory_name: str, reader: Reader) -> None:
        self.source, self.directory_name, self._reader = source, directory_name, reader

    async def set_up(self, request: Request) -> Volume:
        source = request.volume[self.source]
        mode = source.get("defaultMode")
        content = await self._reader(request, source, files.DEFAULT_MODE if mode is None else mode)
        await asyncio.to_thread(self._write, request, content)
        return Volume(request.directory, readonly=True)

    @staticmethod
    def _write(request: Request, content: files.Files) -> None:
        request.directory.mkdir(parents=True, exist_ok=True)
        request.directory.chmod(0o777)
        atomic_writer.write(request.directory, content, request.fs_group)


API_VOLUMES = (
    ApiVolume("configMap", "kubernetes.io~configmap", files.config_map_files),
    ApiVolume("secret", "kubernetes.io~secret", files.secret_files),
    ApiVolume("downwardAPI", "kubernetes.io~downward-api", files.downward_files),
    ApiVolume("projected", "kubernetes.io~projected", _projected),
)
