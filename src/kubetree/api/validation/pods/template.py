"""Pods of one template: what is found once of one holds for all, so that a thousand replicas cost the work of one."""

from __future__ import annotations

import re
from typing import Any

import orjson

_TOKEN_VOLUME = re.compile(rb"kube-api-access-[a-z0-9]{5}\b")
"""The one name in pods of a template that differs from pod to pod."""
_ANY = b"kube-api-access-00000"


def shape(spec: dict[str, Any]) -> bytes:
    """A pod's spec, or what holds it, as JSON that pods of one template have in common: a key for caches of what depends on nothing else."""
    data = orjson.dumps(spec)
    names = set(_TOKEN_VOLUME.findall(data))
    return data.replace(names.pop(), _ANY) if len(names) == 1 else data
