"""Reading a pod's spec: the questions that several parts of the kubelet ask of it. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import orjson

Object = dict[str, Any]

CONFIG_SOURCE = "kubernetes.io/config.source"
CONFIG_HASH = "kubernetes.io/config.hash"
CONFIG_MIRROR = "kubernetes.io/config.mirror"
CONFIG_SEEN = "kubernetes.io/config.seen"


def full_name(pod: Object) -> str:
    """`name_namespace(uid)`: how upstream's messages name a pod."""
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


def uid(pod: Object) -> str:
    """The pod's UID; for a static pod its manifest's hash."""
    return str(pod["metadata"]["uid"])


def annotations_of(pod: Object) -> dict[str, str]:
    return pod["metadata"].get("annotations") or {}


def is_static(pod: Object) -> bool:
    return annotations_of(pod).get(CONFIG_SOURCE, "api") != "api"


def is_mirror(pod: Object) -> bool:
    return CONFIG_MIRROR in annotations_of(pod)


def is_sidecar(container: Object) -> bool:
    """A restartable init container."""
    return container.get("restartPolicy") == "Always"


def is_host_network(pod: Object) -> bool:
    return bool(pod["spec"].get("hostNetwork"))


def containers(pod: Object) -> list[Object]:
    return pod["spec"].get("containers") or []


def init_containers(pod: Object) -> list[Object]:
    return pod["spec"].get("initContainers") or []


def ephemeral_containers(pod: Object) -> list[Object]:
    return pod["spec"].get("ephemeralContainers") or []


def every_container(pod: Object) -> Iterator[Object]:
    yield from init_containers(pod)
    yield from containers(pod)
    yield from ephemeral_containers(pod)


def find_container(pod: Object, name: str) -> Object | None:
    return next((c for c in every_container(pod) if c["name"] == name), None)


def restart_policy(pod: Object) -> str:
    return pod["spec"].get("restartPolicy") or "Always"


def restarts_on_failure(pod: Object) -> bool:
    return restart_policy(pod) != "Never"


def should_restart(container: Object, pod: Object, exit_code: int) -> bool:
    """Whether a container that ended with `exit_code` is started again: its rules first, then its own policy, then the pod's."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        listed = exit_code in (codes.get("values") or ())
        if listed == (codes.get("operator") == "In"):
            return bool(rule.get("action") == "Restart")
    policy = container.get("restartPolicy") or restart_policy(pod)
    return bool(policy == "Always" or (policy == "OnFailure" and exit_code != 0))


def container_hash(container: Object) -> str:
    """Changes when a running container must be replaced: its name or image changed, as in upstream."""
    return format(zlib.crc32(orjson.dumps([container["name"], container.get("image", "")])), "x")


def grace_period(pod: Object) -> int:
    """Seconds between SIGTERM and SIGKILL: the deletion's where it gives one, else the spec's, else 30."""
    for value in (pod["metadata"].get("deletionGracePeriodSeconds"), pod["spec"].get("terminationGracePeriodSeconds")):
        if value is not None:
            return int(value)
    return 30


def is_terminal(status: Object) -> bool:
    return status.get("phase") in ("Succeeded", "Failed")


def generation(pod: Object) -> int:
    return int(pod["metadata"].get("generation") or 0)
