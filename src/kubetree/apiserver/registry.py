"""How the API server's own parts (allocators, quota, bootstrap hooks) read and write objects without going over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from kubetree.api.kinds import Kind

Object = dict[str, Any]


class Writer(Protocol):
    """In-process access to the registry, as system:apiserver: no authorization and no admission, but defaults, the kind's
    strategy, validation, managedFields (manager kube-apiserver), finalizers and conflicts as for every write.

    Objects are answered in the version of `kind`; what `get` and `list` give is shared: never change it.
    """

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """As fresh as every write acknowledged before the call. Raises NotFound."""
        ...

    async def list(self, kind: Kind, namespace: str = "") -> list[Object]:
        """All objects of the kind (of one namespace), as fresh as `get`."""
        ...

    async def create(self, kind: Kind, obj: Object) -> Object:
        """The namespace is that of `obj`. Raises AlreadyExists, Invalid."""
        ...

    async def update(
        self, kind: Kind, namespace: str, name: str, change: Callable[[Object], Object | None], *, subresource: str = ""
    ) -> Object:
        """Compare-and-swap with retries: `change` gets a copy of the object as it stands and returns what it should be
        (None: leave it). It is called again when another writer came between. Raises NotFound, Invalid and what `change` raises."""
        ...

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str = "", resource_version: str = "") -> None:
        """Raises NotFound, Conflict when a precondition does not hold."""
        ...
