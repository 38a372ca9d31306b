"""A pod put together again from what the runtime was told of it: for ending containers that nobody wants any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from kubetree.kubelet.runtime_state import CONTAINER_NAME, CONTAINER_PRE_STOP, POD_GRACE_PERIOD, POD_NAME, POD_NAMESPACE, POD_UID

Object = dict[str, Any]


def pod_from_runtime(uid: str, sandboxes: Iterable[Any], containers: Iterable[Any]) -> Object:
    """From CRI PodSandbox and Container messages: enough of a spec to stop its containers with their own grace and hooks."""
    mine = [c for c in containers if c.labels.get(POD_UID) == uid]
    labels: dict[str, str] = next((item.labels for item in (*(s for s in sandboxes if s.labels.get(POD_UID) == uid), *mine)), {})
    grace = next((int(c.annotations[POD_GRACE_PERIOD]) for c in mine if c.annotations.get(POD_GRACE_PERIOD)), 30)
    found: dict[str, Object] = {}
    for container in mine:
        spec: Object = {"name": container.labels.get(CONTAINER_NAME, container.metadata.name), "image": container.image.image}
        if container.annotations.get(CONTAINER_PRE_STOP):
            spec["lifecycle"] = {"preStop": orjson.loads(container.annotations[CONTAINER_PRE_STOP])}
        found.setdefault(spec["name"], spec)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": labels.get(POD_NAME, uid),
            "namespace": labels.get(POD_NAMESPACE, "default"),
            "uid": uid,
            "deletionTimestamp": "1970-01-01T00:00:00Z",
        },
        "spec": {"containers": list(found.values()), "terminationGracePeriodSeconds": grace},
        "status": {},
    }
