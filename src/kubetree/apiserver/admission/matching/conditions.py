"""matchConditions: CEL expressions that must all hold before a webhook is asked or a policy looks. Follows plugin/webhook/matchconditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kubetree.apiserver.admission.matching.targets import Target
from kubetree.apiserver.admission.matching.versions import Versions
from kubetree.apiserver.admission.metrics import AdmissionMetrics
from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.authorization.attributes import Authorizer

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Matched:
    """`error`: why the request is refused although nothing said that it does not match."""

    matches: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Conditions:
    """`fails`: a condition that cannot be evaluated refuses the request, else the webhook or policy is passed over."""

    given: Sequence[Object]
    fails: bool


def compile_conditions(given: Sequence[Object], fails: bool) -> Conditions:
    return Conditions(given, fails)


@dataclass(frozen=True, slots=True)
class Evaluation:
    authorizer: Authorizer
    metrics: AdmissionMetrics
    clock: Callable[[], float]

    async def matched(
        self, conditions: Conditions, request: AdmissionRequest, target: Target, versions: Versions, labels: tuple[str, str, str]
    ) -> Matched:
        """Until the evaluator of expressions has come, none can be evaluated."""
        self.metrics.condition_failed(*labels, request.operation)
        return Matched(False, "matchConditions cannot be evaluated" if conditions.fails else "")
