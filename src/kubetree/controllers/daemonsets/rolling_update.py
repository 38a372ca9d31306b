"""Replacing a DaemonSet's pods by those of a new template: old pods first (maxUnavailable), or new ones first (maxSurge). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubetree.api.objects import is_deleting, labels
from kubetree.controllers import pods
from kubetree.controllers.daemonsets.nodes import should_run
from kubetree.controllers.deployments.sizes import scaled
from kubetree.controllers.revisions import HASH

Object = dict[str, Any]


@dataclass(slots=True)
class Moves:
    """Pods to delete and nodes to create pods on."""

    delete: list[Object] = field(default_factory=list)
    create: list[str] = field(default_factory=list)


def surge(daemon_set: Object, nodes: int) -> int:
    return scaled(_rolling(daemon_set).get("maxSurge"), nodes, round_up=True)


def unavailable(daemon_set: Object, nodes: int) -> int:
    return scaled(_rolling(daemon_set).get("maxUnavailable", 1), nodes, round_up=True)


def _rolling(daemon_set: Object) -> Object:
    strategy = daemon_set["spec"].get("updateStrategy") or {}
    return (strategy.get("rollingUpdate") or {}) if strategy.get("type", "RollingUpdate") == "RollingUpdate" else {"maxUnavailable": 0}


def moves(daemon_set: Object, nodes: Sequence[Object], by_node: Mapping[str, Sequence[Object]], revision_hash: str, now: datetime) -> Moves:
    """What the next step of the update is, as the pods of each node stand."""
    wanted = {n["metadata"]["name"] for n in nodes if should_run(daemon_set, n)[0]}
    placed: dict[str, Sequence[Object]] = {**dict.fromkeys(sorted(wanted), ()), **by_node}
    most_surge = surge(daemon_set, len(wanted))
    most_unavailable = unavailable(daemon_set, len(wanted))
    if wanted and not most_surge and not most_unavailable:
        most_unavailable = 1
    min_ready = daemon_set["spec"].get("minReadySeconds", 0)

    def available(pod: Object) -> bool:
        return pods.is_available(pod, min_ready, now)

    if most_surge:
        here = {n["metadata"]["name"]: n for n in nodes}
        return _new_first(daemon_set, here, placed, revision_hash, most_surge, len(wanted), available)
    return _old_first(placed, revision_hash, most_unavailable, available)


def _pair(on_node: Sequence[Object], revision_hash: str) -> tuple[Object | None, Object | None] | None:
    """(new pod, old pod) of a node; None when there are several of either, which the next pass puts right."""
    standing = [p for p in on_node if not is_deleting(p)]
    new = [p for p in standing if labels(p).get(HASH) == revision_hash]
    old = [p for p in standing if labels(p).get(HASH) != revision_hash]
    if len(new) > 1 or len(old) > 1:
        return None
    return (new[0] if new else None), (old[0] if old else None)


def _old_first(placed: Mapping[str, Sequence[Object]], revision_hash: str, most: int, available: Any) -> Moves:
    """Old pods that are not available go at once; of the others as many as may be missing."""
    missing = 0
    at_once: list[Object] = []
    candidates: list[Object] = []
    for on_node in placed.values():
        pair = _pair(on_node, revision_hash)
        new, old = pair if pair is not None else (None, None)
        if pair is None or (new is None) == (old is None):
            missing += 1
        elif new is not None:
            missing += not available(new)
        elif old is not None and not available(old):
            at_once.append(old)
            missing += 1
        elif old is not None:
            candidates.append(old)
    return Moves(delete=at_once + candidates[: max(0, most - missing)])


def _new_first(
    daemon_set: Object,
    nodes: Mapping[str, Object],
    placed: Mapping[str, Sequence[Object]],
    revision_hash: str,
    most: int,
    desired: int,
    available: Any,
) -> Moves:
    """A new pod beside the old one on so many nodes; the old one goes when the new one is available."""
    result = Moves()
    surging = standing = 0
    candidates: list[str] = []
    unwanted: list[Object] = []
    for name, on_node in placed.items():
        pair = _pair(on_node, revision_hash)
        if pair is None:
            surging += 1
            continue
        new, old = pair
        serving = old if old is not None else new
        standing += serving is not None and available(serving)
        if old is None:
            continue
        if new is not None:
            if available(new):
                result.delete.append(old)
            else:
                surging += 1
            continue
        belongs = name in nodes and should_run(daemon_set, nodes[name])[0]
        if not available(old):
            if belongs:
                result.create.append(name)
            else:
                result.delete.append(old)
        elif belongs:
            candidates.append(name)
        else:
            unwanted.append(old)
    result.delete += unwanted[: max(0, standing - desired)]
    result.create += candidates[: max(0, most - surging)]
    return result
