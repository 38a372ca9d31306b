"""What admission plugins share: their table of interests, and refusals in upstream's wording."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, ClassVar

from kubetree.api.errors import Forbidden, forbidden
from kubetree.apiserver.admission.request import AdmissionRequest

Object = dict[str, Any]


class Plugin:
    """A plugin states as data what it wants to see; the chain brings it nothing else.

    `resources` are group resources (`deployments.apps`), empty for all; `subresources` likewise, where '' is the object itself.
    `mutates` and `validates` say which of the two methods does anything. Both may be `async def`; a plugin that seldom has to wait for
    something gives what is to be awaited, or None, and so costs most requests no coroutine.
    """

    name: ClassVar[str]
    operations: ClassVar[frozenset[str]]
    resources: ClassVar[frozenset[str]] = frozenset()
    subresources: ClassVar[frozenset[str]] = frozenset({""})
    mutates: ClassVar[bool] = False
    validates: ClassVar[bool] = False

    def admit(self, request: AdmissionRequest) -> Awaitable[None] | None:
        """May change `request.obj` in place. Raises ApiError to refuse."""

    def validate(self, request: AdmissionRequest) -> Awaitable[None] | None:
        """Raises ApiError to refuse."""

    @classmethod
    def wants(cls, operation: str, group_resource: str, subresource: str) -> bool:
        return (
            operation in cls.operations
            and (not cls.resources or group_resource in cls.resources)
            and (not cls.subresources or subresource in cls.subresources)
        )


ANY_SUBRESOURCE: frozenset[str] = frozenset()


def refusal(request: AdmissionRequest, why: str) -> Forbidden:
    """admission.NewForbidden: names the object, or the prefix of a name that is still to be generated."""
    name = request.name
    if not name:
        metadata = (request.obj or {}).get("metadata") or {}
        name = metadata.get("name") or metadata.get("generateName") or "Unknown"
    return forbidden(request.kind.plural, request.kind.group, name, why)
