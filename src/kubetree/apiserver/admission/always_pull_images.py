"""AlwaysPullImages: nobody starts an image from a node's cache without having access to it in the registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authorization.pod_references import containers

Object = dict[str, Any]


class AlwaysPullImages(Plugin):
    name = "AlwaysPullImages"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"pods"})
    mutates = validates = True

    async def admit(self, request: AdmissionRequest) -> None:
        if not _concerned(request):
            return
        pod = request.obj or {}
        for container in containers(pod):
            container["imagePullPolicy"] = "Always"
        for volume in (pod.get("spec") or {}).get("volumes") or ():
            if "image" in volume:
                volume["image"]["pullPolicy"] = "Always"

    async def validate(self, request: AdmissionRequest) -> None:
        if not _concerned(request):
            return
        bad = next(((field, policy) for field, policy in _policies(request.obj or {}) if policy != "Always"), None)
        if bad is not None:
            raise refusal(request, f'{bad[0]}: Unsupported value: {json.dumps(bad[1])}: supported values: "Always"')


def _policies(pod: Object) -> Iterator[tuple[str, str]]:
    spec = pod.get("spec") or {}
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield f"spec.{field}[{index}].imagePullPolicy", container.get("imagePullPolicy", "")
    for index, volume in enumerate(spec.get("volumes") or ()):
        if "image" in volume:
            yield f"spec.volumes[{index}].image.pullPolicy", volume["image"].get("pullPolicy", "")


def _concerned(request: AdmissionRequest) -> bool:
    """Not an update that brings no new image."""
    if request.operation == CREATE:
        return True
    known = {container.get("image") for container in containers(request.old or {})}
    return any(container.get("image") not in known for container in containers(request.obj or {}))
