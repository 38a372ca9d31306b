"""Who controls what: adopting orphans that match a selector and releasing what matches no more, as upstream's ControllerRefManager."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubetree.api.kinds import Kind
from kubetree.api.objects import controller_of, is_deleting, labels, owner_reference
from kubetree.api.selectors import Selector
from kubetree.controllers.plan import Action, Patch, Verify

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Claims:
    """`held` is controlled by the owner and matches its selector. `actions` make the rest right; empty when nothing is to do."""

    held: tuple[Object, ...]
    actions: tuple[Action, ...]


def claim(
    owner_kind: Kind, owner: Object, kind: Kind, selector: Selector, objects: Iterable[Object], *, finalizers: tuple[str, ...] = ()
) -> Claims:
    """Sorts `objects` (what the owner controls, and orphans of its namespace) into held, to adopt and to release.

    An owner that is being deleted neither adopts nor releases. Before any adoption the owner is read past the cache. What is adopted
    gets `finalizers`, what is released loses them.
    """
    metadata = owner["metadata"]
    leaving = is_deleting(owner)
    held: list[Object] = []
    adopted: list[Action] = []
    released: list[Action] = []
    for obj in objects:
        controller = controller_of(obj)
        matches = selector.matches(labels(obj))
        if controller is not None:
            if controller["uid"] != metadata["uid"]:
                continue
            if matches:
                held.append(obj)
            elif not leaving:
                released.append(_release(kind, obj, metadata["uid"], finalizers))
        elif matches and not leaving and not is_deleting(obj):
            adopted.append(_adopt(kind, obj, owner_kind, owner, finalizers))
    verify = [Verify(owner_kind, metadata["namespace"], metadata["name"], metadata["uid"])] if adopted else []
    return Claims(tuple(held), (*released, *verify, *adopted))


def _adopt(kind: Kind, obj: Object, owner_kind: Kind, owner: Object, finalizers: tuple[str, ...]) -> Patch:
    metadata = obj["metadata"]
    reference = owner_reference(owner_kind, owner, controller=True, block=True)
    patch: Object = {"metadata": {"uid": metadata["uid"], "ownerReferences": [reference]}}
    if finalizers:
        patch["metadata"]["finalizers"] = list(finalizers)
    return Patch(kind, metadata["namespace"], metadata["name"], patch, ignore=frozenset({"NotFound"}))


def _release(kind: Kind, obj: Object, owner_uid: str, finalizers: tuple[str, ...]) -> Patch:
    """Invalid means that the object has no owner references left or is another of the same name: nothing to release."""
    metadata = obj["metadata"]
    patch: Object = {"metadata": {"uid": metadata["uid"], "ownerReferences": [{"$patch": "delete", "uid": owner_uid}]}}
    if finalizers:
        patch["metadata"]["$deleteFromPrimitiveList/finalizers"] = list(finalizers)
    return Patch(kind, metadata["namespace"], metadata["name"], patch, ignore=frozenset({"NotFound", "Invalid"}))
