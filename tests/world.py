"""A cluster of dicts for reconcilers under test: applies their plans as the API server would, and lets pods become ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.objects import copy, namespace_name
from kubetree.api.times import format_time
from kubetree.controllers.plan import (
    Action,
    Batch,
    Create,
    Delete,
    Event,
    Outcome,
    Patch,
    Plan,
    Read,
    RequeueAfter,
    Update,
    Verify,
)
from kubetree.controllers.snapshot import ObjectSnapshot

Object = dict[str, Any]
POD = kind("v1", "Pod")


class World:
    """`fails` may turn a request into an error: it is asked before each and returns one or None."""

    def __init__(self, *objects: Object) -> None:
        self.objects: list[Object] = []
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.events: list[str] = []
        self.requeues: list[float] = []
        self.fails: Callable[[Action], errors.ApiError | None] = lambda _: None
        self._count = 0
        for obj in objects:
            self.add(obj)

    @property
    def snapshot(self) -> ObjectSnapshot:
        return ObjectSnapshot(self.objects)

    def add(self, obj: Object) -> Object:
        self._count += 1
        metadata = {
            "namespace": "default",
            "uid": f"uid-{self._count:04d}",
            "generation": 1,
            "creationTimestamp": format_time(self.now),
            **obj["metadata"],
            "resourceVersion": str(self._count),
        }
        if "generateName" in metadata and "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{self._count:05d}"
        made = copy({**obj, "metadata": metadata})
        self.objects.append(made)
        return made

    def get(self, row: Kind, name: str, namespace: str = "default") -> Object:
        found = self.snapshot.get(row, namespace, name)
        assert found is not None, f"no {row.kind} {name}"
        return found

    def list(self, row: Kind) -> list[Object]:
        return list(self.snapshot.list(row))

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def make_ready(self, *, limit: int | None = None) -> None:
        """Pods run and are ready; those being deleted go."""
        self.objects = [o for o in self.objects if not (o["kind"] == "Pod" and "deletionTimestamp" in o["metadata"])]
        waiting = [p for p in self.list(POD) if not (p.get("status") or {}).get("conditions")]
        for pod in waiting[:limit]:
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": format_time(self.now)}
            pod["status"] = {"phase": "Running", "conditions": [ready], "podIP": "10.0.0.1"}
            pod["spec"]["nodeName"] = "node"

    def follow(self, plan: Plan) -> list[errors.ApiError]:
        failures: list[errors.ApiError] = []
        following: Plan | None = plan
        while following is not None:
            outcome = self._apply(following.actions)
            failures += () if following.forgive else outcome.errors
            following = following.then(outcome) if following.then else None
        return failures

    def settle(self, reconcile: Callable[..., Plan], row: Kind, *, rounds: int = 50) -> None:
        """Reconciles all objects of a kind until nothing changes."""
        for _ in range(rounds):
            before = copy({"objects": self.objects})
            for obj in self.list(row):
                self.follow(reconcile(self.snapshot, namespace_name(obj), self.now))
            if before == {"objects": self.objects}:
                return
        raise AssertionError(f"{row.kind} does not settle")

    def _apply(self, actions: Iterable[Action]) -> Outcome:
        results: list[Object | None] = []
        failures: list[errors.ApiError] = []
        for action in actions:
            for request in action.requests if isinstance(action, Batch) else (action,):
                try:
                    if (error := self.fails(request)) is not None:
                        raise error
                    result = self._one(request)
                    self._tell(getattr(request, "done", None), result, "")
                    results.append(result)
                except errors.ApiError as error:
                    ignore = getattr(request, "ignore", ())
                    results.append(None)
                    if error.status_reason in ignore or any(c.reason in ignore for c in error.causes):
                        continue
                    self._tell(getattr(request, "failed", None), None, error.message)
                    failures.append(error)
                    if isinstance(action, Batch) and action.slow_start:
                        break
            if failures:
                break
        return Outcome(tuple(results), tuple(failures))

    def _tell(self, event: Event | None, result: Object | None, error: str) -> None:
        if event is not None:
            name = result["metadata"]["name"] if result else ""
            self.events.append(f"{event.reason}: {event.message.replace('{name}', name).replace('{error}', error)}")

    def _one(self, action: Action) -> Object | None:
        match action:
            case Event():
                self._tell(action, None, "")
            case RequeueAfter():
                self.requeues.append(action.seconds)
            case Create():
                if self.snapshot.get(action.kind, *_key(action.obj)):
                    raise errors.already_exists(action.kind.plural, action.kind.group, action.obj["metadata"]["name"])
                return self.add(action.obj)
            case Update():
                return self._update(action)
            case Patch():
                return self._patch(action)
            case Delete():
                self._delete(action)
            case Read():
                return self.snapshot.get(action.kind, action.namespace, action.name)
            case Verify():
                return self.snapshot.get(action.kind, action.namespace, action.name)
        return None

    def _current(self, row: Kind, namespace: str, name: str) -> Object:
        found = self.snapshot.get(row, namespace, name)
        if found is None:
            raise errors.not_found(row.plural, row.group, name)
        return found

    def _update(self, action: Update) -> Object:
        current = self._current(action.kind, *namespace_name(action.obj))
        metadata = action.obj["metadata"]
        if metadata.get("resourceVersion", current["metadata"]["resourceVersion"]) != current["metadata"]["resourceVersion"]:
            raise errors.conflict(action.kind.plural, action.kind.group, metadata["name"], errors.MODIFIED)
        new = copy(action.obj)
        if action.subresource == "status":
            new["spec"] = current.get("spec")
        else:
            new["status"] = current.get("status", {})
            if new.get("spec") != current.get("spec"):
                new["metadata"]["generation"] = current["metadata"]["generation"] + 1
        return self._put(current, new)

    def _put(self, current: Object, new: Object) -> Object:
        if {k: v for k, v in new.items() if v != {}} != {k: v for k, v in current.items() if v != {}}:
            self._count += 1
            new["metadata"]["resourceVersion"] = str(self._count)
            self.objects[self.objects.index(current)] = new
        return new

    def _patch(self, action: Patch) -> Object:
        current = self._current(action.kind, action.namespace, action.name)
        new = copy(current)
        assert isinstance(action.patch, dict)
        metadata = action.patch["metadata"]
        gone = metadata.get("$deleteFromPrimitiveList/finalizers") or []
        finalizers = [f for f in new["metadata"].get("finalizers") or [] if f not in gone] + (metadata.get("finalizers") or [])
        if finalizers or "finalizers" in new["metadata"]:
            new["metadata"]["finalizers"] = finalizers
        owners = new["metadata"].setdefault("ownerReferences", [])
        for reference in metadata.get("ownerReferences") or ():
            if reference.get("$patch") == "delete":
                owners[:] = [o for o in owners if o["uid"] != reference["uid"]]
            else:
                owners.append(reference)
        if not owners:
            del new["metadata"]["ownerReferences"]
        return self._put(current, new)

    def _delete(self, action: Delete) -> None:
        current = self._current(action.kind, action.namespace, action.name)
        if action.kind == POD:
            leaving = {**current, "metadata": {**current["metadata"], "deletionTimestamp": format_time(self.now)}}
            self._put(current, leaving)
        else:
            self.objects.remove(current)


def _key(obj: Object) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata.get("namespace", "default"), metadata.get("name", "")
