"""MatchResources of policies and bindings: selectors, rules and exclusions. Follows admission/plugin/policy/matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubetree.api.errors import ApiError
from kubetree.api.selectors import Selector
from kubetree.apiserver.admission.matching.rules import Rule, rules
from kubetree.apiserver.admission.matching.selectors import Namespaces, selector, selects_object
from kubetree.apiserver.admission.matching.targets import Equivalents, Target, chosen
from kubetree.apiserver.admission.request import AdmissionRequest

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Criteria:
    """`equivalent`: a request for the same object at another version counts, too. Selectors None select everything."""

    rules: tuple[Rule, ...]
    excluded: tuple[Rule, ...]
    equivalent: bool
    namespaces: Selector | None
    objects: Selector | None

    async def target(self, request: AdmissionRequest, equivalents: Equivalents, namespaces: Namespaces) -> Target | None:
        """The version at which the request is wanted, None where it is not; without rules every request is. Raises NotFound for a
        namespace that is needed and is not there."""
        in_namespace = await namespaces.selects_or_error(self.namespaces, request)
        if in_namespace is False or not selects_object(self.objects, request):
            return None
        if self.excluded and chosen(self.excluded, request, equivalents, equivalent=self.equivalent) is not None:
            return None
        if self.rules:
            found = chosen(self.rules, request, equivalents, equivalent=self.equivalent)
        else:
            found = equivalents.itself(request.kind, request.subresource)
        if found is not None and isinstance(in_namespace, ApiError):
            raise in_namespace
        return found


def criteria(given: Object) -> Criteria:
    """Of a MatchResources."""
    return Criteria(
        rules(given.get("resourceRules")),
        rules(given.get("excludeResourceRules")),
        given.get("matchPolicy") == "Equivalent",
        selector(given.get("namespaceSelector") or {}),
        selector(given.get("objectSelector") or {}),
    )
