"""Events about pods and their containers, to the API where there is one and to the log always."""

from __future__ import annotations

import logging
from typing import Any

from kubetree.client.events import EventRecorder, object_reference
from kubetree.kubelet import specs

Object = dict[str, Any]
log = logging.getLogger("kubetree.kubelet.events")


class PodEvents:
    def __init__(self, recorder: EventRecorder | None) -> None:
        self._recorder = recorder

    def pod_event(self, pod: Object, type_: str, reason: str, message: str, container: str = "") -> None:
        """Of a container when `container` names one: the reference then has its field path."""
        log.info("%s/%s %s %s: %s", pod["metadata"]["namespace"], pod["metadata"]["name"], container, reason, message)
        if self._recorder is None:
            return
        reference = object_reference({"apiVersion": "v1", "kind": "Pod", **pod}, field_path(pod, container) if container else "")
        if specs.is_static(pod):
            reference.pop("resourceVersion", None)
        self._recorder.event(reference, type_, reason, message)


def field_path(pod: Object, container: str) -> str:
    """`spec.containers{web}`: how an event names a container."""
    for field, members in (
        ("containers", specs.containers(pod)),
        ("initContainers", specs.init_containers(pod)),
        ("ephemeralContainers", specs.ephemeral_containers(pod)),
    ):
        if any(c["name"] == container for c in members):
            return f"spec.{field}{{{container}}}"
    return ""
