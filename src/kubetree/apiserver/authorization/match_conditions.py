"""matchConditions of authorization webhooks: expressions over the question that must all hold before the webhook is asked.

Follows apiserver's pkg/authorization/cel: fields that are empty in the review are there for the expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]


class MatchConditions:
    """Raises ValueError for an expression that does not compile."""

    def __init__(self, expressions: Sequence[str]) -> None:
        raise ValueError("matchConditions need the expression engine")

    def matches(self, spec: Object) -> bool:
        return True
