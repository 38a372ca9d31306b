"""What a reconciler sees of the cluster: synchronous reads of the informers' caches, or of a plain list of objects in tests.

A reconciler runs without awaiting, so nothing changes while it looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from kubetree.api.kind_table import every_kind
from kubetree.api.kinds import Kind, Kinds
from kubetree.api.objects import controller_of, namespace_name
from kubetree.client import Informer

Object = dict[str, Any]
IndexFunction = Callable[[Object], Iterable[str]]

BY_CONTROLLER = "controller"
"""Index by the UID of the controlling owner; objects without one stand under `orphans_of(namespace)`."""

BY_NODE = "node"
"""Index of pods by spec.nodeName."""


def orphans_of(namespace: str) -> str:
    return f"orphans/{namespace}"


def by_controller(obj: Object) -> tuple[str, ...]:
    owner = controller_of(obj)
    return (owner["uid"],) if owner else (orphans_of(obj["metadata"].get("namespace", "")),)


def by_node(pod: Object) -> tuple[str, ...]:
    name = pod["spec"].get("nodeName")
    return (name,) if name else ()


INDEXES: dict[str, IndexFunction] = {BY_CONTROLLER: by_controller, BY_NODE: by_node}


class Snapshot(Protocol):
    """Objects as the caches have them, with apiVersion and kind. They are shared: never change one. Of pods and of kinds that no duty
    names only part is kept (see slimming): patch those, never write them back whole."""

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None: ...

    def list(self, kind: Kind, namespace: str = "") -> Sequence[Object]: ...

    def by_index(self, kind: Kind, index: str, value: str) -> Sequence[Object]: ...

    def dependents(self, uid: str) -> Sequence[tuple[Kind, Object]]:
        """Objects of all followed kinds with an owner reference to `uid`."""
        ...

    def kinds(self) -> Sequence[Kind]:
        """All kinds that are followed."""
        ...

    def row(self, api_version: str, kind: str) -> Kind | None:
        """The followed kind of that name; None when it is not served or not followed."""
        ...


KindId = tuple[str, str]
Dependents = dict[str, dict[tuple[str, ...], tuple[Kind, Object]]]


def kind_id(kind: Kind) -> KindId:
    """A short key for a kind: a row has too many fields to be hashed each time."""
    return kind.api_version, kind.kind


class CacheSnapshot:
    """The caches of informers that run."""

    def __init__(self, informers: dict[KindId, Informer], dependents: Dependents) -> None:
        self._informers, self._dependents = informers, dependents

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return self._informers[kind_id(kind)].get(namespace, name)

    def list(self, kind: Kind, namespace: str = "") -> Sequence[Object]:
        return self._informers[kind_id(kind)].list(namespace)

    def by_index(self, kind: Kind, index: str, value: str) -> Sequence[Object]:
        return self._informers[kind_id(kind)].by_index(index, value)

    def dependents(self, uid: str) -> Sequence[tuple[Kind, Object]]:
        return list(self._dependents.get(uid, {}).values())

    def kinds(self) -> Sequence[Kind]:
        return [informer.kind for informer in self._informers.values()]

    def row(self, api_version: str, kind: str) -> Kind | None:
        informer = self._informers.get((api_version, kind))
        return informer.kind if informer is not None else None


class ObjectSnapshot:
    """A list of objects as a snapshot, for tests and for planning ahead."""

    def __init__(self, objects: Iterable[Object], kinds: Kinds | None = None) -> None:
        self.objects = list(objects)
        self._table = kinds or every_kind()

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return next((o for o in self.list(kind) if namespace_name(o) == (namespace, name)), None)

    def list(self, kind: Kind, namespace: str = "") -> Sequence[Object]:
        of_kind = [o for o in self.objects if o["apiVersion"] == kind.api_version and o["kind"] == kind.kind]
        return [o for o in of_kind if not namespace or o["metadata"].get("namespace") == namespace]

    def by_index(self, kind: Kind, index: str, value: str) -> Sequence[Object]:
        return [o for o in self.list(kind) if value in INDEXES[index](o)]

    def dependents(self, uid: str) -> Sequence[tuple[Kind, Object]]:
        found = [o for o in self.objects if any(r["uid"] == uid for r in o["metadata"].get("ownerReferences") or ())]
        return [(row, o) for o in found if (row := self.row(o["apiVersion"], o["kind"])) is not None]

    def kinds(self) -> Sequence[Kind]:
        return list(self._table)

    def row(self, api_version: str, kind: str) -> Kind | None:
        return self._table.by_kind(api_version, kind)


def owned(snapshot: Snapshot, kind: Kind, owner: Object) -> list[Object]:
    """Objects of `kind` whose controller is `owner`, by UID."""
    return list(snapshot.by_index(kind, BY_CONTROLLER, owner["metadata"]["uid"]))


def candidates(snapshot: Snapshot, kind: Kind, owner: Object) -> list[Object]:
    """What `owner` may claim: what it controls, and the orphans of its namespace."""
    orphans = snapshot.by_index(kind, BY_CONTROLLER, orphans_of(owner["metadata"]["namespace"]))
    return [*owned(snapshot, kind, owner), *orphans]
