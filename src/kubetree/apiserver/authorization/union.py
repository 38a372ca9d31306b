"""Several authorizers as one: the first that allows or denies decides; what the others said becomes the reason of a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from kubetree.apiserver.authentication.user import MASTERS_GROUP, User
from kubetree.apiserver.authorization.attributes import Answer, Attributes, Authorizer, Decision
from kubetree.apiserver.authorization.rules import PolicyRule, Rules

ALLOWED = Answer(Decision.ALLOW)
_EVERYTHING = Rules((PolicyRule(("*",), ("*",), ("*",)), PolicyRule(("*",), urls=("*",))))


class Masters:
    """system:masters may do everything, whatever the other authorizers say."""

    def authorize(self, attributes: Attributes) -> Answer:
        return ALLOWED if MASTERS_GROUP in attributes.user.groups else Answer(Decision.NO_OPINION)


class AlwaysAllow:
    """For --authorization-mode=AlwaysAllow."""

    def authorize(self, attributes: Attributes) -> Answer:
        return ALLOWED

    def rules_of(self, user: User, namespace: str) -> Rules:
        return _EVERYTHING


class AlwaysDeny:
    """For --authorization-mode=AlwaysDeny."""

    def authorize(self, attributes: Attributes) -> Answer:
        return Answer(Decision.NO_OPINION, "Everything is forbidden.")

    def rules_of(self, user: User, namespace: str) -> Rules:
        return Rules()


class Union:
    """`names` are the name and type under which an authorizer's decisions are counted, None for one whose are not."""

    def __init__(self, authorizers: Sequence[Authorizer], names: Sequence[tuple[str, str] | None] = ()) -> None:
        self.decisions: dict[tuple[str, str, str], int] = {}
        self.use(authorizers, names)

    def use(self, authorizers: Sequence[Authorizer], names: Sequence[tuple[str, str] | None] = ()) -> None:
        """These from now on."""
        self.authorizers = tuple(authorizers)
        self._named = tuple(zip_longest(self.authorizers, names))

    def authorize(self, attributes: Attributes) -> Answer:
        reasons, errors = "", []
        for authorizer, name in self._named:
            answer = authorizer.authorize(attributes)
            if answer.decision is not Decision.NO_OPINION:
                if name is not None:
                    key = ("allowed" if answer.decision is Decision.ALLOW else "denied", *name)
                    self.decisions[key] = self.decisions.get(key, 0) + 1
                return answer
            if answer.reason:
                reasons = f"{reasons}\n{answer.reason}" if reasons else answer.reason
            if answer.error:
                errors.append(answer.error)
        return Answer(Decision.NO_OPINION, reasons, _aggregated(errors) if errors else "")


def _aggregated(errors: Sequence[str]) -> str:
    different = list(dict.fromkeys(errors))
    return different[0] if len(different) == 1 else f"[{', '.join(different)}]"
