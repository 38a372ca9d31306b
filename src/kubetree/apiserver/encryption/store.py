"""A Store whose values are transformed on their way in and out; everything else is the inner store's.

What upstream's server wrote into the same etcd in protobuf, or at a version that is stored and not served, is read too: values come out
as JSON at the version of this server's table, whoever wrote them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from kubetree.api.protobuf.envelope import MAGIC, ProtobufError
from kubetree.api.protobuf.envelope import decode as from_protobuf
from kubetree.apiserver.encryption import stored_forms
from kubetree.apiserver.encryption.transformers import IDENTITY, KeyNeeded, Plain, Transformer, TransformError, UnreadableValue
from kubetree.apiserver.wire.encoding import encode
from kubetree.store.protocol import Entry, Page, Progress, Store, StoreEvent, Watch, Written

TransformerOf = Callable[[str], Transformer]
"""From a store's key to what its value goes through."""
_FOREIGN = (b"k8s", *stored_forms.STORED)
"""How values begin that are not to be taken as they are, whatever their key."""
Named = Callable[[str], bytes]
"""From a store's key to what it is called where the value lies: ciphers bind a value to that name, as upstream's do."""


class EncryptedStore:
    """A Store whose values are encrypted where `transformer_of` says so for their key. Everything else passes through."""

    def __init__(self, inner: Store, transformer_of: TransformerOf, named: Named = str.encode) -> None:
        self._inner, self._of, self._named = inner, transformer_of, named

    async def revision(self) -> int:
        return await self._inner.revision()

    async def get(self, key: str, revision: int = 0) -> tuple[Entry | None, int]:
        """Raises UnreadableValue, as `range` and a failed write do."""
        entry, at = await self._inner.get(key, revision)
        return (await self._read(entry) if entry is not None else None), at

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        page = await self._inner.range(prefix, after=after, limit=limit, revision=revision)
        entries = [entry if self._as_it_is(entry.key, entry.value) else await self._read(entry) for entry in page.entries]
        return Page(entries, page.revision, page.remaining)

    async def count(self, prefix: str) -> int:
        return await self._inner.count(prefix)

    async def create(self, key: str, value: bytes, *, ttl: int = 0) -> Written:
        return await self._written(await self._inner.create(key, self._encrypted(key, value), ttl=ttl))

    async def update(self, key: str, value: bytes, expected: int, *, ttl: int = 0) -> Written:
        return await self._written(await self._inner.update(key, self._encrypted(key, value), expected, ttl=ttl))

    async def delete(self, key: str, expected: int) -> Written:
        return await self._written(await self._inner.delete(key, expected))

    def watch(self, prefix: str, after: int) -> AbstractAsyncContextManager[Watch]:
        return self._watch(prefix, after)

    @asynccontextmanager
    async def _watch(self, prefix: str, after: int) -> AsyncIterator[Watch]:
        async with self._inner.watch(prefix, after) as watch:
            yield DecryptingWatch(watch, self._of, self._named)

    @property
    def oldest(self) -> int:
        return self._inner.oldest

    async def compact(self, revision: int) -> None:
        await self._inner.compact(revision)

    async def size(self) -> int:
        return await self._inner.size()

    async def close(self) -> None:
        await self._inner.close()

    def _encrypted(self, key: str, value: bytes) -> bytes:
        if value.startswith(stored_forms.SERVED):
            value = stored_forms.stored(value)
        try:
            return self._of(key).encrypt(value, self._named(key))
        except TransformError as error:
            raise UnreadableValue(self._named(key).decode(), error) from error

    async def _written(self, written: Written) -> Written:
        return Written(written.ok, written.revision, await self._read(written.current)) if written.current is not None else written

    def _as_it_is(self, key: str, value: bytes) -> bool:
        """Whether there is nothing to do: most values are JSON of kinds that are not encrypted."""
        return self._of(key) is IDENTITY and not value.startswith(_FOREIGN)

    async def _read(self, entry: Entry) -> Entry:
        if self._as_it_is(entry.key, entry.value):
            return entry
        while True:
            try:
                plain = plain_value(self._of, entry.key, entry.value, self._named)
            except KeyNeeded as needed:
                await fetched(needed, entry.key)
                continue
            return Entry(entry.key, plain.value, entry.revision, entry.created, plain.stale)


class DecryptingWatch:
    """Events come out in order; what waits for a key is held back, and everything after it."""

    def __init__(self, inner: Watch, transformer_of: TransformerOf, named: Named) -> None:
        self._inner, self._of, self._named = inner, transformer_of, named
        self._held: list[StoreEvent | Progress] = []
        self._needed: tuple[KeyNeeded, str] | None = None

    def take(self) -> Sequence[StoreEvent | Progress]:
        """Raises UnreadableValue for a value that cannot be decrypted."""
        batch = [*self._held, *self._inner.take()]
        self._held, self._needed = [], None
        plain: list[StoreEvent | Progress] = []
        for i, event in enumerate(batch):
            value = None if isinstance(event, Progress) else event.value
            if value is None or (not value.startswith(_FOREIGN) and self._of(event.key) is IDENTITY):  # type: ignore[union-attr]
                plain.append(event)
                continue
            assert isinstance(event, StoreEvent)
            try:
                found = plain_value(self._of, event.key, value, self._named)
                plain.append(StoreEvent(event.revision, event.key, found.value, event.created))
            except KeyNeeded as needed:
                self._held, self._needed = batch[i:], (needed, event.key)
                break
        return plain

    async def wait(self) -> None:
        if self._needed is not None:
            await fetched(*self._needed)
            self._needed = None
        elif not self._held:
            await self._inner.wait()

    def request_progress(self, revision: int = 0) -> None:
        self._inner.request_progress(revision)

    async def __aiter__(self) -> AsyncIterator[Sequence[StoreEvent | Progress]]:
        while True:
            await self.wait()
            yield self.take()


async def fetched(needed: KeyNeeded, key: str) -> None:
    """Has a KMS decrypt a key that is needed. Raises UnreadableValue, naming `key` of the store."""
    try:
        await needed.fetch()
    except TransformError as error:
        raise UnreadableValue(key, error) from error


def plain_value(transformer_of: TransformerOf, key: str, value: bytes, named: Named = str.encode) -> Plain:
    """JSON. Raises UnreadableValue, KeyNeeded."""
    try:
        plain = transformer_of(key).decrypt(value, named(key))
    except TransformError as error:
        raise UnreadableValue(named(key).decode(), error) from error
    if plain.value.startswith(MAGIC):
        try:
            return Plain(encode(stored_forms.current(from_protobuf(plain.value))), plain.stale)
        except ProtobufError as error:
            raise UnreadableValue(named(key).decode(), error) from error
    if plain.value.startswith(stored_forms.STORED):
        return Plain(stored_forms.served(plain.value), plain.stale)
    return plain
