"""RuntimeClass: a pod takes over the overhead, node selector and tolerations of its runtime class."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from kubetree.api.errors import NotFound
from kubetree.api.kind_table import kind
from kubetree.api.quantities import parse_quantity
from kubetree.apiserver.admission.plugin import Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, AdmissionRequest
from kubetree.apiserver.authentication.live_objects import Reader
from kubetree.apiserver.lister import Lister

RUNTIME_CLASS = kind("node.k8s.io/v1", "RuntimeClass")
_MISMATCH = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"

Object = dict[str, Any]


class RuntimeClass(Plugin):
    name = "RuntimeClass"
    operations = frozenset({CREATE})
    resources = frozenset({"pods"})
    mutates = validates = True

    def __init__(self, lister: Lister, reader: Reader) -> None:
        self._lister, self._reader = lister, reader

    def admit(self, request: AdmissionRequest) -> Awaitable[None] | None:
        spec = (request.obj or {}).get("spec") or {}
        return None if spec.get("runtimeClassName") is None else self._take_over(request, spec)

    async def _take_over(self, request: AdmissionRequest, spec: Object) -> None:
        found = await self._class(request, spec["runtimeClassName"])
        if found.get("overhead") is not None:
            fixed = found["overhead"].get("podFixed") or {}
            if spec.get("overhead") and not _same(spec["overhead"], fixed):
                raise refusal(request, _MISMATCH)
            spec["overhead"] = dict(fixed)
        if found.get("scheduling") is not None:
            _schedule(request, spec, found["scheduling"])

    def validate(self, request: AdmissionRequest) -> Awaitable[None] | None:
        spec = (request.obj or {}).get("spec") or {}
        return None if spec.get("runtimeClassName") is None and spec.get("overhead") is None else self._compare(request, spec)

    async def _compare(self, request: AdmissionRequest, spec: Object) -> None:
        name = spec.get("runtimeClassName")
        found = await self._class(request, name) if name is not None else {}
        if found.get("overhead") is not None:
            if not _same(spec.get("overhead") or {}, found["overhead"].get("podFixed") or {}):
                raise refusal(request, _MISMATCH)
        elif spec.get("overhead") is not None:
            raise refusal(request, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")

    async def _class(self, request: AdmissionRequest, name: str) -> Object:
        found = self._lister.get(RUNTIME_CLASS, "", name)
        if found is not None:
            return found
        try:
            return await self._reader.get(RUNTIME_CLASS, "", name)
        except NotFound:
            raise refusal(request, f'pod rejected: RuntimeClass "{name}" not found') from None


def _schedule(request: AdmissionRequest, spec: Object, scheduling: Object) -> None:
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if selector.get(key, value) != value:
            why = f"runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {selector[key]}"
            raise refusal(request, f"conflict: {why}")
        selector[key] = value
    if selector:
        spec["nodeSelector"] = selector
    tolerations = list(spec.get("tolerations") or ())
    tolerations += [toleration for toleration in scheduling.get("tolerations") or () if toleration not in tolerations]
    if tolerations:
        spec["tolerations"] = tolerations


def _same(one: Object, other: Object) -> bool:
    return one.keys() == other.keys() and all(parse_quantity(one[key]) == parse_quantity(other[key]) for key in one)
