"""What the API server serves: a Resource per kind over one store, and how its own parts read and write without HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from kubetree.api.feature_gates import Features
from kubetree.api.kind_table import storage_row
from kubetree.api.kinds import Kind, Kinds
from kubetree.api.known_specs import KnownSpecs
from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.authorization.attributes import Authorizer
from kubetree.apiserver.metrics.counters import Counters
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.streams import Streams
from kubetree.apiserver.underway import Underway
from kubetree.apiserver.watch_cache import WatchCache
from kubetree.store.protocol import Store

Object = dict[str, Any]
Finish = Callable[[bool], Awaitable[None]]
"""Called with whether the write was committed."""


class Writer(Protocol):
    """In-process access to the registry, as system:apiserver: no authorization and no admission, but defaults, the kind's
    strategy, validation, managedFields (manager kube-apiserver unless another is named), finalizers and conflicts as for every write.

    Objects are answered in the version of `kind`; what `get` and `list` give is shared: never change it.
    """

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """As fresh as every write acknowledged before the call. Raises NotFound."""
        ...

    async def list(self, kind: Kind, namespace: str = "") -> list[Object]:
        """All objects of the kind (of one namespace), as fresh as `get`."""
        ...

    async def create(self, kind: Kind, obj: Object, *, manager: str = "kube-apiserver") -> Object:
        """The namespace is that of `obj`. Raises AlreadyExists, Invalid."""
        ...

    async def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Callable[[Object], Object | None],
        *,
        subresource: str = "",
        manager: str = "kube-apiserver",
    ) -> Object:
        """Compare-and-swap with retries: `change` gets a copy of the object as it stands and returns what it should be
        (None: leave it). It is called again when another writer came between. Raises NotFound, Invalid and what `change` raises."""
        ...

    async def apply(self, kind: Kind, namespace: str, name: str, fields: Object, manager: str, *, subresource: str = "") -> Object:
        """Server-side apply of `fields`, forced, to an object that is there. Raises NotFound, Invalid."""
        ...

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str = "", resource_version: str = "") -> None:
        """Raises NotFound, Conflict when a precondition does not hold."""
        ...


class Admission(Protocol):
    """The chain of admission plugins. Both raise ApiError to refuse."""

    async def admit(self, request: AdmissionRequest) -> None: ...

    async def validate(self, request: AdmissionRequest) -> None: ...


class AdmitAll:
    """Admission before there is any: of a registry that is being put together."""

    async def admit(self, request: AdmissionRequest) -> None:
        return None

    async def validate(self, request: AdmissionRequest) -> None:
        return None


class WriteHook(Protocol):
    """What must be reserved around the writes of one resource (cluster IPs, node ports). `resource` is its group resource.

    A `begin_...` runs before strategy and validation and may change the new object; what it returns is called once the fate of
    the write is known. Raises ApiError to refuse.
    """

    resource: str

    async def begin_create(self, obj: Object, *, dry_run: bool) -> Finish | None: ...

    async def begin_update(self, new: Object, old: Object, *, dry_run: bool) -> Finish | None: ...

    async def after_delete(self, obj: Object, *, dry_run: bool) -> None: ...


class Codec(Protocol):
    """Between what is stored and the version that is asked for, where that takes more than a table: custom resources at several versions.

    Both may call a webhook, and raise what it makes of that.
    """

    async def shown(self, objs: Sequence[Object]) -> list[Object]:
        """Objects of the cache or the store (never changed) at the version asked for."""
        ...

    async def stored(self, obj: Object) -> Object:
        """An object at the version asked for as it is to be stored; `obj` stays as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Resource:
    """A served kind: `kind` is the row asked for, `storage` the row its objects are prepared, checked and stored as (often the same).

    A custom resource is prepared and checked in the version asked for, so its `storage` is `kind`; when it is stored in another version,
    `codec` stands between.
    """

    kind: Kind
    storage: Kind
    cache: WatchCache
    hook: WriteHook | None = None
    ttl: int = 0
    """Seconds after its last write that an object expires (Events); 0: never."""
    codec: Codec | None = None

    @property
    def same_version(self) -> bool:
        """Whether what the cache has is just what is asked for."""
        return self.kind is self.storage and self.codec is None

    def key(self, namespace: str, name: str) -> str:
        return self.storage.key(namespace, name)

    def scope_prefix(self, namespace: str) -> str:
        """The key prefix of a list: of one namespace or of all."""
        return f"{self.storage.prefix}{namespace}/" if namespace and self.storage.namespaced else self.storage.prefix


CacheOf = Callable[[Kind], WatchCache]
"""Gives the one cache of a storage row."""
CodecOf = Callable[[Kind], Codec | None]
"""Gives what stands between a custom resource's row and the store; None where nothing does."""


def no_codec(kind: Kind) -> Codec | None:
    return None


@dataclass(slots=True)
class Registry:
    """Everything the verbs work on. One per API server; nothing global."""

    config: Config
    kinds: Kinds
    store: Store
    cache_of: CacheOf
    clock: Callable[[], datetime]
    authorizer: Authorizer
    new_uid: Callable[[], str]
    admission: Admission = field(default_factory=AdmitAll)
    hooks: dict[str, WriteHook] = field(default_factory=dict)
    streams: Streams = field(default_factory=Streams)
    known_specs: KnownSpecs = field(default_factory=KnownSpecs)
    underway: Underway = field(default_factory=Underway)
    codec_of: CodecOf = no_codec
    counters: Counters = field(default_factory=Counters)
    features: Features = field(init=False)
    compacted: int = 0
    """Up to where this server has had the store forget: what is older has expired, also where a cache still remembers it."""
    _resources: dict[tuple[str, str, str], Resource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.features = self.config.features

    def resource(self, kind: Kind) -> Resource:
        """The Resource of a row; made at first use, so that rows may come at run time."""
        identity = (kind.group, kind.version, kind.plural)
        found = self._resources.get(identity)
        if found is None or found.kind is not kind:
            codec = self.codec_of(kind) if kind.behaviour is not None else None
            storage = storage_row(kind)
            ttl = self.config.event_ttl if kind.kind == "Event" and storage.group == "" else 0
            found = Resource(kind, storage, self.cache_of(storage), self.hooks.get(kind.group_resource), ttl, codec)
            self._resources[identity] = found
        return found

    def forget(self, kind: Kind) -> None:
        """The row is no longer served."""
        found = self._resources.get((kind.group, kind.version, kind.plural))
        if found is not None and found.kind is kind:
            del self._resources[kind.group, kind.version, kind.plural]

    def add_hook(self, hook: WriteHook) -> None:
        self.hooks[hook.resource] = hook
        self._resources.clear()
