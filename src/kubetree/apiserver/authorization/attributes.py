"""authorizer.Attributes and what an authorizer answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from kubetree.apiserver.authentication.user import User


@dataclass(frozen=True, slots=True)
class Attributes:
    """A request as authorizers see it. For a non-resource request only user, verb and path are set, `resource` is ''."""

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
    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no opinion"


class Answer(NamedTuple):
    decision: Decision
    reason: str = ""


class Authorizer(Protocol):
    """Synchronous unless it must ask elsewhere: authorization stands on every request's hot path."""

    def authorize(self, attributes: Attributes) -> Answer: ...
