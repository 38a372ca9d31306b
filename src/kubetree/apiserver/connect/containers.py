"""Which container of a pod a log, exec or attach means. Pure; worded as upstream's pod strategy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubetree.api.errors import BadRequest

Object = dict[str, Any]


def container_names(pod: Object) -> Iterator[str]:
    """In upstream's order of visiting: init containers, containers, ephemeral containers."""
    spec = pod.get("spec") or {}
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            yield container["name"]


def chosen_container(pod: Object, wanted: str) -> str:
    """Raises BadRequest for a name that is not there, or that must be given."""
    name = pod["metadata"]["name"]
    if wanted:
        if wanted not in container_names(pod):
            raise BadRequest(f"container {wanted} is not valid for pod {name}")
        return wanted
    containers = (pod.get("spec") or {}).get("containers") or []
    if len(containers) == 1:
        only: str = containers[0]["name"]
        return only
    if not containers:
        raise BadRequest(f"a container name must be specified for pod {name}")
    names = " ".join(container_names(pod))
    raise BadRequest(f"a container name must be specified for pod {name}, choose one of: [{names}]")
