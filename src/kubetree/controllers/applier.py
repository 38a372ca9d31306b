"""Carries out a plan's actions through the API client and reports how they went. Holds no state between plans."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kubetree.api import errors
from kubetree.api.kinds import Kind
from kubetree.client import Client, EventRecorder
from kubetree.controllers.discovery import discover
from kubetree.controllers.plan import (
    Action,
    Batch,
    Create,
    Delete,
    DeleteCollection,
    Discover,
    Event,
    Outcome,
    Patch,
    Post,
    Read,
    ReadAll,
    Request,
    RequeueAfter,
    Update,
    Verify,
)

Object = dict[str, Any]

AT_ONCE = 64
"""How many requests of one batch are under way at a time."""


@dataclass(frozen=True, slots=True)
class Write:
    """A write of our own: the cache must show it before the key that caused it is reconciled again.

    `resource_version` 0: a deletion, seen once the object of `uid` is gone or being deleted.
    """

    kind: Kind
    namespace: str
    name: str
    resource_version: int = 0
    uid: str = ""


@dataclass(slots=True)
class Report:
    """What came of a list of actions."""

    outcome: Outcome = field(default_factory=Outcome)
    writes: list[Write] = field(default_factory=list)
    requeue: dict[tuple[str, ...] | None, float] = field(default_factory=dict)
    """Seconds until a key is to be looked at again; None is the key that the actions are of."""


class Applier:
    """One for each duty, with the credentials that it acts by."""

    def __init__(self, client: Client, recorder: EventRecorder) -> None:
        self._client, self._recorder = client, recorder

    async def apply(self, actions: Sequence[Action]) -> Report:
        """Applies the actions in order until one fails. Raises nothing that the API server says."""
        report = Report()
        results: list[Object | None] = []
        failures: list[errors.ApiError] = []
        for action in actions:
            match action:
                case Event():
                    self._recorder.event(action.about, action.type, action.reason, action.message)
                case RequeueAfter():
                    report.requeue[action.key] = min(action.seconds, report.requeue.get(action.key, action.seconds))
                case Batch():
                    for answer in await self._batch(action, report):
                        _sort(answer, results, failures)
                case _:
                    _sort(await self._one(action, report), results, failures)
            if failures:
                break
        report.outcome = Outcome(tuple(results), tuple(failures))
        return report

    async def _batch(self, batch: Batch, report: Report) -> list[Object | errors.ApiError | None]:
        answers: list[Object | errors.ApiError | None] = []
        waiting = list(batch.requests)
        size = 1 if batch.slow_start else AT_ONCE
        while waiting:
            now, waiting = waiting[:size], waiting[size:]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(request, report)) for request in now]
            answers += [task.result() for task in tasks]
            if batch.slow_start:
                if any(isinstance(answer, errors.ApiError) for answer in answers):
                    break
                size = min(2 * size, AT_ONCE)
        return answers

    async def _one(self, request: Request, report: Report) -> Object | errors.ApiError | None:
        try:
            result = await self._send(request)
        except errors.ApiError as error:
            if _ignored(error, request):
                return None
            self._tell(getattr(request, "failed", None), "", error.message)
            return error
        if write := _write(request, result):
            report.writes.append(write)
        name = result["metadata"].get("name", "") if isinstance(result, dict) and "metadata" in result else ""
        self._tell(getattr(request, "done", None), name, "")
        return result

    def _tell(self, event: Event | None, name: str, error: str) -> None:
        if event is not None:
            message = event.message.replace("{name}", name).replace("{error}", error)
            self._recorder.event(event.about, event.type, event.reason, message)

    async def _send(self, request: Request) -> Object | None:
        client = self._client
        match request:
            case Create():
                return await client.create(request.kind, request.obj)
            case Update():
                return await client.update(request.kind, request.obj, subresource=request.subresource)
            case Patch():
                return await client.patch(
                    request.kind,
                    request.name,
                    request.patch,
                    namespace=request.namespace,
                    type=request.type,
                    subresource=request.subresource,
                    field_manager=request.field_manager,
                    force=request.force,
                )
            case Delete():
                return await client.delete(
                    request.kind,
                    request.name,
                    request.namespace,
                    grace_period=request.grace_period,
                    uid=request.uid,
                    resource_version=request.resource_version,
                    propagation=request.propagation,
                )
            case Post():
                return await client.create(request.kind, request.obj, request.namespace, name=request.name, subresource=request.subresource)
            case DeleteCollection():
                return await client.delete_collection(request.kind, request.namespace, propagation=request.propagation)
            case Read():
                return await client.get(request.kind, request.name, request.namespace, subresource=request.subresource)
            case ReadAll():
                return await client.list(request.kind, request.namespace, label_selector=request.label_selector, limit=request.limit)
            case Verify():
                return await self._verify(request)
            case Discover():
                return {"kinds": await discover(client)}

    async def _verify(self, request: Verify) -> Object:
        fresh = await self._client.get(request.kind, request.name, request.namespace)
        metadata = fresh["metadata"]
        where = f"{request.kind.kind} {request.namespace}/{request.name}"
        if metadata["uid"] != request.uid:
            raise errors.Conflict(f"original {where} is gone: got uid {metadata['uid']}, wanted {request.uid}")
        if metadata.get("deletionTimestamp"):
            raise errors.Conflict(f"{where} has just been deleted at {metadata['deletionTimestamp']}")
        return fresh


def _sort(answer: Object | errors.ApiError | None, results: list[Object | None], failures: list[errors.ApiError]) -> None:
    if isinstance(answer, errors.ApiError):
        failures.append(answer)
        results.append(None)
    else:
        results.append(answer)


def _ignored(error: errors.ApiError, request: Request) -> bool:
    ignore: frozenset[str] = getattr(request, "ignore", frozenset())
    return error.status_reason in ignore or any(cause.reason in ignore for cause in error.causes)


def _write(request: Request, result: Object | None) -> Write | None:
    """What the cache must come to show after a request that went well."""
    if result is None:
        return None
    match request:
        case Create() | Update() | Patch():
            metadata = result.get("metadata", {})
            version = int(metadata.get("resourceVersion") or 0)
            if isinstance(request, Update) and metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
                return Write(request.kind, metadata.get("namespace", ""), metadata["name"], uid=metadata["uid"])
            return Write(request.kind, metadata.get("namespace", ""), metadata["name"], version) if version else None
        case Delete(uid=uid) if uid:
            return Write(request.kind, request.namespace, request.name, uid=uid)
        case _:
            return None
