"""What the API server does about CustomResourceDefinitions beside serving them: names, conditions, and the end of one that is deleted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from kubetree.api import errors
from kubetree.api.custom_resources import conditions
from kubetree.api.custom_resources.conditions import CLEANUP, set_condition
from kubetree.api.objects import has_condition
from kubetree.api.times import format_time
from kubetree.apiserver.custom_resources.following import CRD, Following, overlaps
from kubetree.apiserver.operations import deletion
from kubetree.apiserver.operations.scope import WriteScope
from kubetree.apiserver.registry import Registry, Writer
from kubetree.apiserver.wire.options import DeleteOptions
from kubetree.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)
Object = dict[str, Any]
_IDLE = 3600.0
_WAIT_FOR_END = 60.0
_RETRY = 5.0


class DefinitionController:
    """`run` follows the definitions until it is cancelled."""

    def __init__(self, registry: Registry, writer: Writer, following: Following) -> None:
        self._registry, self._writer, self._following = registry, writer, following
        self._cache = registry.resource(CRD).cache
        self._judged: dict[str, int] = {}
        self._ending: set[str] = set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    await self._follow(tasks)
                except errors.Expired:
                    continue

    async def _follow(self, tasks: asyncio.TaskGroup) -> None:
        with self._cache.watch(self._cache.revision) as changes:
            while True:
                changes.take()
                self._following.sync()
                again = await self._judge_all(tasks)
                await changes.wait(_RETRY if again else _IDLE)

    async def _judge_all(self, tasks: asyncio.TaskGroup) -> bool:
        """Whether something has to be tried again."""
        again, entries = False, list(self._cache.items())
        if self._judged != {entry.key: entry.revision for entry in entries}:  # names may be free: those who wait for one look once more
            content = {entry.key for entry in entries if has_condition(entry.obj, "NamesAccepted")}
            self._judged = {key: revision for key, revision in self._judged.items() if key in content}
        for entry in entries:
            if self._judged.get(entry.key) == entry.revision:
                continue
            try:
                await self._judge(entry.obj, tasks)
                self._judged[entry.key] = entry.revision
            except (errors.ApiError, StoreUnavailable) as error:
                log.warning("the status of %s waits: %s", entry.key, error)
                again = True
        return again

    async def _judge(self, crd: Object, tasks: asyncio.TaskGroup) -> None:
        name, metadata = crd["metadata"]["name"], crd["metadata"]
        if metadata.get("deletionTimestamp") and CLEANUP in (metadata.get("finalizers") or ()) and name not in self._ending:
            self._ending.add(name)
            tasks.create_task(self._end(name))
        await self._change_status(name, self._assess)

    def _assess(self, crd: Object) -> bool:
        now = format_time(self._registry.clock())
        changed = [
            conditions.judge_approval(crd, now),
            conditions.accept_names(crd, self._group(crd["spec"]["group"]), now),
            conditions.establish(crd, now),
            conditions.judge_schema(crd, now),
        ]
        return any(changed)

    def _group(self, group: str) -> Iterable[Object]:
        return [entry.obj for entry in self._cache.items() if entry.obj["spec"]["group"] == group]

    async def _change_status(self, name: str, change: Any) -> None:
        def changed(crd: Object) -> Object | None:
            return crd if change(crd) else None

        try:
            await self._writer.update(CRD, "", name, changed, subresource="status")
        except errors.NotFound:
            return

    # the end of a definition

    async def _end(self, name: str) -> None:
        try:
            while not await self._try_to_end(name):
                await asyncio.sleep(_RETRY)
        finally:
            self._ending.discard(name)

    async def _try_to_end(self, name: str) -> bool:
        try:
            await self._set_terminating(name, "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
            outcome = await self._delete_instances(name)
            await self._set_terminating(name, *outcome)
            if outcome[0] == "True":
                return False
            await self._writer.update(CRD, "", name, _without_cleanup)
        except errors.NotFound:
            return True
        except (errors.ApiError, StoreUnavailable) as error:
            log.warning("the end of %s waits: %s", name, error)
            return False
        return True

    async def _set_terminating(self, name: str, status: str, reason: str, message: str) -> None:
        def change(crd: Object) -> bool:
            set_condition(crd, "Terminating", status, reason, message, format_time(self._registry.clock()))
            return True

        await self._change_status(name, change)

    async def _delete_instances(self, name: str) -> tuple[str, str, str]:
        """Terminating as it is afterwards: (status, reason, message)."""
        await self._following.catch_up()
        standing = self._cache.get(CRD.key("", name))
        if standing is not None and overlaps(standing.obj):
            return "False", "OverlappingBuiltInResource", "instances overlap with built-in resources in storage"
        definition = self._following.definition(name)
        if definition is None or not has_condition(definition.crd, "Established"):
            return "False", "NeverEstablished", "resource was never established"
        resource = self._registry.resource(definition.storage)
        cache = resource.cache
        await cache.fresh()
        failed: list[str] = []
        with cache.watch(cache.revision) as changes:
            for entry in list(cache.items()):
                namespace, _, instance = entry.key.removeprefix(definition.storage.prefix).rpartition("/")
                try:
                    await deletion.delete(self._registry, resource, instance, DeleteOptions(), WriteScope(namespace, admit=False))
                except errors.NotFound:
                    continue
                except errors.ApiError as error:
                    failed.append(str(error))
            if failed:
                return "True", "InstanceDeletionFailed", f"could not issue all deletes: {failed[0]}"
            loop = asyncio.get_running_loop()
            deadline = loop.time() + _WAIT_FOR_END
            await cache.fresh()
            while next(iter(cache.items()), None) is not None:
                left = deadline - loop.time()
                if left <= 0:
                    return (
                        "True",
                        "InstanceDeletionCheck",
                        "could not confirm zero CustomResources remaining: timed out waiting for the condition",
                    )
                await changes.wait(left)
                changes.take()
        return "False", "InstanceDeletionCompleted", "removed all instances"


def _without_cleanup(crd: Object) -> Object:
    metadata = crd["metadata"]
    metadata["finalizers"] = [name for name in metadata.get("finalizers") or () if name != CLEANUP]
    return crd
