"""Config maps and secrets that pods use: read when a pod needs them, then followed while its volumes show them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.client.informer import Informer
from kubetree.client.rest import Client
from kubetree.kubelet import specs
from kubetree.kubelet.volumes.plugin import VolumeError

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace, name."""

CONFIG_MAP, SECRET = kind("v1", "ConfigMap"), kind("v1", "Secret")
RUNTIME_CLASS = kind("node.k8s.io/v1", "RuntimeClass")
_KINDS: dict[str, Kind] = {"ConfigMap": CONFIG_MAP, "Secret": SECRET, "RuntimeClass": RUNTIME_CLASS}


@dataclass(slots=True)
class _Followed:
    informer: Informer
    task: asyncio.Task[None] | None = None
    pods: set[str] = field(default_factory=set)


class ApiObjects:
    """`on_change(uid)` is called for each pod that shows a config map or secret which changed. Without a client nothing is found."""

    def __init__(self, client: Client | None, on_change: Callable[[str], None]) -> None:
        self._client, self._on_change = client, on_change
        self._followed: dict[Key, _Followed] = {}
        self._asking: dict[Key, asyncio.Task[Object | None]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Holds the watches until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            for followed in self._followed.values():
                followed.task = self._group.create_task(followed.informer.run())
            await asyncio.get_running_loop().create_future()

    async def config_map(self, namespace: str, name: str) -> Object | None:
        return await self._get(("ConfigMap", namespace, name))

    async def secret(self, namespace: str, name: str) -> Object | None:
        return await self._get(("Secret", namespace, name))

    async def runtime_handler(self, name: str) -> str:
        """The handler that a RuntimeClass names. Raises VolumeError when there is none of that name."""
        found = await self._get(("RuntimeClass", "", name))
        if found is None:
            raise VolumeError(f'failed to get RuntimeClass "{name}": runtimeclass.node.k8s.io "{name}" not found')
        return str(found["handler"])

    async def _get(self, key: Key) -> Object | None:
        """The object, or None when it does not exist. Raises VolumeError when the API cannot say."""
        followed = self._followed.get(key)
        if followed is not None and followed.informer.has_synced and (found := followed.informer.get(key[1], key[2])) is not None:
            return found
        # Pods that start together ask for the same things: one request serves them all.
        if key not in self._asking:
            self._asking[key] = asyncio.ensure_future(self._ask(*key))
            self._asking[key].add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(self._asking[key])

    async def _ask(self, kind_name: str, namespace: str, name: str) -> Object | None:
        if self._client is None:
            title = kind_name[:1].lower() + kind_name[1:]
            raise VolumeError(f"couldn't get {title} {namespace}/{name}, no kubeClient defined")
        try:
            return await self._client.get(_KINDS[kind_name], name, namespace)
        except errors.NotFound:
            return None
        except errors.ApiError as error:
            raise VolumeError(error.message) from error

    # -- following

    def follow(self, pod: Object) -> None:
        """Watch what the pod's volumes show. Safe to repeat."""
        if self._client is None:
            return
        uid = specs.uid(pod)
        for key in set(references(pod)):
            followed = self._followed.get(key)
            if followed is None:
                followed = self._followed[key] = self._start(self._client, key)
            followed.pods.add(uid)

    def _start(self, client: Client, key: Key) -> _Followed:
        informer = Informer(client, _KINDS[key[0]], namespace=key[1], field_selector=f"metadata.name={key[2]}")
        followed = _Followed(informer)

        def changed(old: Object | None, new: Object | None) -> None:
            for uid in followed.pods:
                self._on_change(uid)

        informer.on_change(changed)
        if self._group is not None:
            followed.task = self._group.create_task(informer.run())
        return followed

    def unfollow(self, uid: str) -> None:
        for key, followed in list(self._followed.items()):
            followed.pods.discard(uid)
            if not followed.pods:
                if followed.task is not None:
                    followed.task.cancel()
                del self._followed[key]


def references(pod: Object) -> Iterator[Key]:
    """Config maps and secrets that volumes show."""
    namespace = pod["metadata"]["namespace"]
    for volume in pod["spec"].get("volumes") or ():
        sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        for source in sources:
            if source.get("configMap"):
                yield "ConfigMap", namespace, source["configMap"].get("name", "")
            if source.get("secret"):
                yield "Secret", namespace, source["secret"].get("secretName") or source["secret"].get("name", "")
