"""Pods of one template: what is found once of one holds for all, so that a thousand replicas cost the work of one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import orjson

_TOKEN_VOLUME = b"kube-api-access-"
"""How the one name begins that differs from pod to pod of a template."""
_LENGTH = len(_TOKEN_VOLUME) + 5
_ANY = b"kube-api-access-00000"


class Template(NamedTuple):
    """`shape` is JSON of what decides whether a pod is right and wise, but for its own name and labels; `spec` is that of the pod's spec."""

    shape: bytes
    spec: bytes

    @property
    def has_empty_lists(self) -> bool:
        return _has_empty_lists(self.shape)


@lru_cache(maxsize=256)
def _has_empty_lists(shape: bytes) -> bool:
    return b":[]" in shape


def pod_template(pod: dict[str, Any]) -> Template:
    spec, notes = orjson.dumps(pod.get("spec")), pod["metadata"].get("annotations")
    shape = b'{"metadata":{"annotations":%b},"spec":%b}' % (orjson.dumps(notes), _without_suffix(spec))
    return Template(shape, spec)


def shape(spec: dict[str, Any]) -> bytes:
    """A pod's spec as JSON that pods of one template have in common: a key for caches of what depends on nothing else."""
    return _without_suffix(orjson.dumps(spec))


def _without_suffix(data: bytes) -> bytes:
    at = data.find(_TOKEN_VOLUME)
    if at < 0:
        return data
    name = data[at : at + _LENGTH]
    return data.replace(name, _ANY) if name[-5:].isalnum() and name.islower() else data
