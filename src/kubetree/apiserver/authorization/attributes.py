"""authorizer.Attributes, what an authorizer answers, and how one may say that it must ask elsewhere first.

Authorizing is synchronous: it stands on every request's hot path, and expressions and escalation checks ask in the middle of a
computation. An authorizer that has to call a webhook raises AskElsewhere; whoever may wait runs the question through `settled`, which
makes the call and asks again. Without webhooks nobody raises it and nothing is paid for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol, TypeVar

from kubetree.apiserver.authentication.user import User

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attributes:
    """A request as authorizers see it. For a non-resource request only user, verb and path are set, `resource` is ''.

    Selectors are texts as in a URL; they narrow what is asked for, so an authorizer may ignore what it cannot read.
    """

    user: User
    verb: str
    path: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)


class Decision(Enum):
    """NO_OPINION leaves it to the next authorizer; in the end it is a refusal."""

    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no opinion"

    __hash__ = object.__hash__  # there is one of each; Enum's own is a call in Python, on every request


class Answer(NamedTuple):
    """`error`: what went wrong while deciding; without a decision it makes the request an internal error."""

    decision: Decision
    reason: str = ""
    error: str = ""


class Authorizer(Protocol):
    """Whoever is asked whether a request may be."""

    def authorize(self, attributes: Attributes) -> Answer:
        """Raises AskElsewhere."""
        ...


class AskElsewhere(Exception):
    """The answer must be fetched: `ask` gives it, `key` is what it is looked up by in `found`."""

    def __init__(self, key: Hashable, ask: Callable[[], Awaitable[Answer]]) -> None:
        super().__init__("the authorizer must ask elsewhere first: run this through `settled`")
        self.key, self.ask = key, ask


_FOUND: ContextVar[dict[Hashable, Answer]] = ContextVar("answers of webhooks to the question at hand")


def found(key: Hashable) -> Answer | None:
    """What was fetched for the question that is being asked again."""
    answers = _FOUND.get(None)
    return answers.get(key) if answers else None


async def settled(question: Callable[[], T]) -> T:
    """What `question` returns, asked again after each call that its authorizers need. It must change nothing before it has its answers."""

    async def ask() -> T:
        return question()

    return await settled_later(ask)


async def settled_later(question: Callable[[], Awaitable[T]]) -> T:
    """`settled` for a question that waits for other things as well."""
    try:
        return await question()
    except AskElsewhere as first:
        elsewhere = first
    answers: dict[Hashable, Answer] = dict(_FOUND.get({}))
    token = _FOUND.set(answers)
    try:
        while True:
            answers[elsewhere.key] = await elsewhere.ask()
            try:
                return await question()
            except AskElsewhere as another:
                elsewhere = another
    finally:
        _FOUND.reset(token)
