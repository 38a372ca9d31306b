"""emptyDir: a fresh directory that lives as long as the pod, on disk or in memory."""

from __future__ import annotations

from kubetree.api.quantities import parse_quantity
from kubetree.kubelet import mounts
from kubetree.kubelet.volumes.atomic_writer import give_to_group
from kubetree.kubelet.volumes.plugin import Request, Volume, VolumeError


class EmptyDir:
    source = "emptyDir"
    directory_name = "kubernetes.io~empty-dir"

    async def set_up(self, request: Request) -> Volume:
        source, directory = request.volume["emptyDir"] or {}, request.directory
        fresh = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        medium = source.get("medium") or ""
        if medium and directory not in mounts.mount_points(directory):
            self._mount(medium, source, request)
            fresh = True
        if fresh:
            directory.chmod(0o777)
            if request.fs_group is not None:
                give_to_group(directory, request.fs_group, readonly=False)
        return Volume(directory)

    @staticmethod
    def _mount(medium: str, source: dict[str, str], request: Request) -> None:
        limit = parse_quantity(source.get("sizeLimit") or "0").value()
        try:
            if medium == "Memory":
                mounts.mount("tmpfs", request.directory, "tmpfs", options=f"size={limit}" if limit else "")
            elif medium.startswith("HugePages"):
                _, _, size = medium.partition("-")
                options = f"pagesize={size}" if size else ""
                mounts.mount("nodev", request.directory, "hugetlbfs", options=options)
            else:
                raise VolumeError(f'unknown storage medium "{medium}"')
        except OSError as error:
            raise VolumeError(str(error)) from error
