"""What all owners of pods have in common: whom a changed object concerns, and the pods they create and delete, with their events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.objects import controller_of, is_deleting, labels
from kubetree.api.selectors import Selector, label_selector
from kubetree.controllers.plan import NAMESPACE_TERMINATING, Create, Delete, Event
from kubetree.controllers.snapshot import Snapshot

Object = dict[str, Any]

POD = kind("v1", "Pod")


def by_selector(owner: Object) -> Selector:
    """The metav1.LabelSelector in an owner's spec."""
    return label_selector(owner["spec"].get("selector"))


def keys_of_owned(
    owner_kind: Kind, selector: Callable[[Object], Selector] = by_selector
) -> Callable[[Object, Snapshot], Sequence[tuple[str, str]]]:
    """A key function for what owners of `owner_kind` own: the controlling owner; for an orphan, all whose selector matches it."""

    def keys(obj: Object, snapshot: Snapshot) -> Sequence[tuple[str, str]]:
        namespace = obj["metadata"]["namespace"]
        owner = controller_of(obj)
        if owner is not None:
            return ((namespace, owner["name"]),) if owner["kind"] == owner_kind.kind else ()
        if is_deleting(obj):
            return ()
        found = []
        for candidate in snapshot.list(owner_kind, namespace):
            wanted = selector(candidate)
            if not wanted.empty and wanted.matches(labels(obj)):
                found.append((namespace, candidate["metadata"]["name"]))
        return found

    return keys


def create_pod(owner: Object, pod: Object) -> Create:
    return Create(
        POD,
        pod,
        done=Event(owner, "Normal", "SuccessfulCreate", "Created pod: {name}"),
        failed=Event(owner, "Warning", "FailedCreate", "Error creating: {error}"),
        ignore=NAMESPACE_TERMINATING,
    )


def delete_pod(owner: Object, pod: Object) -> Delete:
    metadata = pod["metadata"]
    return Delete(
        POD,
        metadata["namespace"],
        metadata["name"],
        uid=metadata["uid"],
        done=Event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {metadata['name']}"),
        failed=Event(owner, "Warning", "FailedDelete", "Error deleting: {error}"),
    )
