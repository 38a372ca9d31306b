"""A pod's volumes: set up before its containers, kept up to date, taken down after them.

Directories are upstream's: <root>/pods/<uid>/volumes/<plugin>/<volume>.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kubetree.kubelet import mounts, specs
from kubetree.kubelet.volumes.api_volumes import API_VOLUMES
from kubetree.kubelet.volumes.empty_dir import EmptyDir
from kubetree.kubelet.volumes.host_path import HostPath
from kubetree.kubelet.volumes.plugin import Plugin, Request, Surroundings, Volume, VolumeError

Object = dict[str, Any]

PLUGINS: Sequence[Plugin] = (*API_VOLUMES, EmptyDir(), HostPath())


class VolumeManager:
    def __init__(self, root: Path, surroundings: Surroundings, plugins: Sequence[Plugin] = PLUGINS) -> None:
        self.root, self._surroundings, self._plugins = root, surroundings, plugins

    def pod_directory(self, uid: str) -> Path:
        return self.root / "pods" / uid

    def _plugin(self, volume: Object) -> Plugin:
        for plugin in self._plugins:
            if plugin.source in volume:
                return plugin
        kind = next((key for key in volume if key != "name"), "")
        raise VolumeError(f"no volume plugin matched {kind}")

    async def set_up(self, pod: Object) -> dict[str, Volume]:
        """Every volume of the pod by name; those that are there already are only brought up to date. Raises VolumeError, whose
        `args` are (message, volume name)."""
        ready: dict[str, Volume] = {}
        for volume in pod["spec"].get("volumes") or ():
            name = volume["name"]
            try:
                plugin = self._plugin(volume)
                directory = self.pod_directory(specs.uid(pod)) / "volumes" / plugin.directory_name / name
                ready[name] = await plugin.set_up(Request(pod, volume, directory, self._surroundings))
            except VolumeError as error:
                raise VolumeError(str(error), name) from error
            except OSError as error:
                raise VolumeError(f"{error.strerror}: {error.filename}", name) from error
        return ready

    async def tear_down(self, uid: str) -> None:
        """Unmount and remove everything of a pod. Safe to repeat. Raises OSError when something cannot be unmounted."""
        await asyncio.to_thread(self._remove, self.pod_directory(uid))

    @staticmethod
    def _remove(directory: Path) -> None:
        if directory.exists():
            mounts.unmount_below(directory)
            shutil.rmtree(directory)
