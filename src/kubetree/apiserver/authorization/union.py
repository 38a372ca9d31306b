"""Several authorizers as one: the first that allows or denies decides; what the others said becomes the reason of a refusal."""

from __future__ import annotations

from collections.abc import Sequence

from kubetree.apiserver.authentication.user import MASTERS_GROUP
from kubetree.apiserver.authorization.attributes import Answer, Attributes, Authorizer, Decision

ALLOWED = Answer(Decision.ALLOW)


class Masters:
    """system:masters may do everything, whatever the other authorizers say."""

    def authorize(self, attributes: Attributes) -> Answer:
        return ALLOWED if MASTERS_GROUP in attributes.user.groups else Answer(Decision.NO_OPINION)


class AlwaysAllow:
    def authorize(self, attributes: Attributes) -> Answer:
        return ALLOWED


class AlwaysDeny:
    def authorize(self, attributes: Attributes) -> Answer:
        return Answer(Decision.NO_OPINION, "Everything is forbidden.")


class Union:
    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = tuple(authorizers)

    def authorize(self, attributes: Attributes) -> Answer:
        reasons = ""
        for authorizer in self._authorizers:
            answer = authorizer.authorize(attributes)
            if answer.decision is not Decision.NO_OPINION:
                return answer
            if answer.reason:
                reasons = f"{reasons}\n{answer.reason}" if reasons else answer.reason
        return Answer(Decision.NO_OPINION, reasons)
