"""How authorizers and admission plugins look at objects: synchronous reads of the watch cache, so no request waits for the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from kubetree.api.kinds import Kind


class Lister(Protocol):
    """Objects as the watch cache has them, in the kind's storage version. They are shared: never change one."""

    def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None: ...

    def list(self, kind: Kind, namespace: str = "") -> Sequence[dict[str, Any]]:
        """All objects of the kind, or of one namespace."""
        ...

    def generation(self, kind: Kind) -> int:
        """A number that changes whenever an object of the kind changes: what is computed from a list may be kept until it does."""
        ...

    def selected(self, kind: Kind, field: str, value: str) -> Iterable[dict[str, Any]]:
        """Objects whose selectable field (`spec.nodeName`) has the value: by the cache's index where it has one, else by looking."""
        ...
