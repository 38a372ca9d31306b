"""Pods of one template: what is found once of one holds for all, so that a thousand replicas cost the work of one."""

from __future__ import annotations

from typing import Any

import orjson

_TOKEN_VOLUME = b"kube-api-access-"
"""How the one name begins that differs from pod to pod of a template."""
_LENGTH = len(_TOKEN_VOLUME) + 5
_ANY = b"kube-api-access-00000"


def pod_shape(pod: dict[str, Any]) -> bytes:
    """What decides whether a pod is right and wise, but for its own name and labels."""
    return shape({"metadata": {"annotations": pod["metadata"].get("annotations")}, "spec": pod.get("spec")})


def shape(spec: dict[str, Any]) -> bytes:
    """A pod's spec, or what holds it, as JSON that pods of one template have in common: a key for caches of what depends on nothing else."""
    data = orjson.dumps(spec)
    at = data.find(_TOKEN_VOLUME)
    if at < 0:
        return data
    name = data[at : at + _LENGTH]
    return data.replace(name, _ANY) if name[-5:].isalnum() and name.islower() else data
