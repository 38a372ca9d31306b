"""PodTolerationRestriction: tolerations that a namespace gives its pods, and those it allows them at all.

Follows plugin/pkg/admission/podtolerationrestriction. What a namespace does not say in its annotations, the configuration says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kubetree.api import objects
from kubetree.api.errors import InternalError
from kubetree.api.kind_table import kind
from kubetree.api.objects import semantic_equal
from kubetree.api.pod_resources import is_best_effort
from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authentication.live_objects import Reader
from kubetree.apiserver.lister import Lister

Object = dict[str, Any]
Toleration = Mapping[str, Any]
NAMESPACE = kind("v1", "Namespace")
DEFAULTS = "scheduler.alpha.kubernetes.io/defaultTolerations"
WHITELIST = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
_MEMORY_PRESSURE = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}


class PodTolerationRestriction(Plugin):
    name = "PodTolerationRestriction"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"pods"})
    mutates = validates = True

    def __init__(self, lister: Lister, reader: Reader, defaults: Sequence[Object] = (), whitelist: Sequence[Object] = ()) -> None:
        self._lister, self._reader = lister, reader
        self._defaults, self._whitelist = list(defaults), list(whitelist)

    async def admit(self, request: AdmissionRequest) -> None:
        spec: Object = (request.obj or {}).setdefault("spec", {})
        extra: list[Object] = []
        if request.operation == CREATE:
            stated = await self._stated(request.namespace, DEFAULTS)
            extra = list(self._defaults if stated is None else stated)
        if not is_best_effort(request.obj or {}):
            extra.append(_MEMORY_PRESSURE)
        if extra:
            spec["tolerations"] = merged([*(spec.get("tolerations") or ()), *extra])
        await self.validate(request)

    async def validate(self, request: AdmissionRequest) -> None:
        tolerations = ((request.obj or {}).get("spec") or {}).get("tolerations") or ()
        if not tolerations:
            return
        whitelist, scope = await self._stated(request.namespace, WHITELIST), "namespace"
        if whitelist is None:
            whitelist, scope = self._whitelist, "cluster"
        if whitelist and not all(any(covers(allowed, t) for allowed in whitelist) for t in tolerations):
            why = f"pod tolerations (possibly merged with namespace default tolerations) conflict with its {scope} whitelist"
            raise InternalError(why, status_reason="")

    async def _stated(self, namespace: str, key: str) -> list[Object] | None:
        """None: the namespace says nothing."""
        found = self._lister.get(NAMESPACE, "", namespace) or await self._reader.get(NAMESPACE, "", namespace)
        text = objects.annotations(found).get(key)
        if text is None:
            return None
        if not text:
            return []
        try:
            stated = json.loads(text)
        except ValueError as error:
            raise InternalError(str(error), status_reason="") from None
        return stated if isinstance(stated, list) else []


def merged(tolerations: Sequence[Object]) -> list[Object]:
    """Without those that another one covers; of equal ones the first stays. Pure."""
    kept: list[Object] = []
    for i, one in enumerate(tolerations):
        if any(covers(other, one) for other in kept):
            continue
        if any(not semantic_equal(one, other) and covers(other, one) for other in tolerations[i + 1 :]):
            continue
        kept.append(one)
    return kept


def covers(wide: Toleration, narrow: Toleration) -> bool:
    """Whether `wide` tolerates all that `narrow` does. Pure."""
    if semantic_equal(wide, narrow):
        return True
    key, operator, effect = wide.get("key") or "", wide.get("operator") or "", wide.get("effect") or ""
    if (narrow.get("key") or "") != key and (key or operator != "Exists"):
        return False
    if effect and (narrow.get("effect") or "") != effect:
        return False
    if effect == "NoExecute" and wide.get("tolerationSeconds") is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or seconds > wide["tolerationSeconds"]:
            return False
    if operator in ("Equal", ""):
        return narrow.get("operator") == "Equal" and (narrow.get("value") or "") == (wide.get("value") or "")
    return operator == "Exists"
