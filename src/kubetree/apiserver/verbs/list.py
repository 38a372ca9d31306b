"""LIST: selected entries of the cache joined as they are; the store itself only for revisions of the past."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import orjson
from aiohttp import web

from kubetree.api import errors, protobuf
from kubetree.api.objects import labels
from kubetree.api.strategies import selectable_fields
from kubetree.apiserver.operations.managers import all_shown, requested_version
from kubetree.apiserver.registry import Registry, Resource
from kubetree.apiserver.verbs.call import Call
from kubetree.apiserver.verbs.continue_token import INCONSISTENT, decode_continue, encode_continue
from kubetree.apiserver.verbs.converted import converted
from kubetree.apiserver.watch_cache import Cached
from kubetree.apiserver.wire.encoding import decode, encode, with_revision
from kubetree.apiserver.wire.negotiation import PROTOBUF, Output
from kubetree.apiserver.wire.options import EXACT, ListOptions, list_options, revision_of
from kubetree.apiserver.wire.responses import answer, answer_long, answer_message, answer_object
from kubetree.apiserver.wire.selection import Selection, select
from kubetree.apiserver.wire.transforms import transform_list
from kubetree.store.protocol import Compacted

Object = dict[str, Any]
_PAGE = 500
_AT_ONCE = 100
LONG = 4 * 1024 * 1024
"""Bytes from which on a list is sent piece by piece."""
_PIECE = 512 * 1024


@dataclass(frozen=True, slots=True)
class Listing:
    """Entries in key order. `remaining` None: not known (there is a selector) or nothing is left."""

    entries: list[Cached]
    revision: int
    token: str = ""
    remaining: int | None = None
    fetched: int = 0
    """How many entries of the cache were looked at."""

    def metadata(self) -> Object:
        found: Object = {"resourceVersion": str(self.revision)}
        if self.token:
            found["continue"] = self.token
        if self.remaining is not None:
            found["remainingItemCount"] = self.remaining
        return found


async def list_(call: Call) -> web.StreamResponse:
    output = call.output(streams=True)
    options = list_options(call.ctx.query, watch=False)
    selection = select(call.resource, call.namespace, call.name, options)
    listing = await read(call.registry, call.resource, selection, options)
    return await answer_list(call, listing, output)


async def answer_list(call: Call, listing: Listing, output: Output) -> web.StreamResponse:
    """In the form that was asked for. Raises NotAcceptable."""
    kind, resource = call.resource.kind, call.resource
    if output.as_kind:
        objs = await all_shown(resource, [e.obj for e in listing.entries])
        body = transform_list(kind, objs, listing.metadata(), output, call.ctx.query, call.registry.clock())
        return answer_object(call.ctx, body, output)
    if output.serializer is PROTOBUF:
        return answer_message(call.ctx, await messages(resource, listing))
    if output.plain and resource.same_version and call.ctx.audit is None and sum(len(e.data) for e in listing.entries) > LONG:
        return answer_long(call.ctx, *long_splice(resource, listing))
    return answer(call.ctx, await splice(resource, listing), output)


async def messages(resource: Resource, listing: Listing) -> bytes:
    """The list's protobuf from the entries' own messages; a long one lets others run meanwhile. Raises NotAcceptable."""
    kind, items = resource.kind, []
    for at, entry in enumerate(listing.entries):
        if at % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
        items.append(entry.message if resource.same_version else protobuf.message(requested_version(resource, entry.obj)))
    return protobuf.encode_list(kind.api_version, f"{kind.kind}List", listing.metadata(), items)


async def splice(resource: Resource, listing: Listing) -> bytes:
    """The list's JSON from the entries' own bytes. Items of built-in kinds carry no kind and apiVersion, as upstream's typed lists."""
    kind = resource.kind
    if kind.behaviour is not None:
        return await _splice_custom(resource, listing, kind.behaviour.list_kind)
    items: list[Any]
    if resource.same_version:
        head = len(f'{{"kind":"{kind.kind}","apiVersion":"{kind.api_version}",')
        items = [memoryview(e.data)[head:] for e in listing.entries]
    else:
        converted = await all_shown(resource, [e.obj for e in listing.entries])
        items = [orjson.dumps({k: v for k, v in o.items() if k not in ("kind", "apiVersion")})[1:] for o in converted]
    start = f'{{"kind":"{kind.kind}List","apiVersion":"{kind.api_version}","metadata":'.encode() + orjson.dumps(listing.metadata())
    if not items:
        return start + b',"items":[]}'
    items[0] = b"".join((start, b',"items":[{', items[0]))
    items[-1] = b"".join((items[-1], b"]}"))
    return b",{".join(items)


def long_splice(resource: Resource, listing: Listing) -> tuple[Iterator[bytes], int]:
    """What `splice` gives of entries, not none, in the version asked for, and a line's end, in pieces that are made when asked for. And the
    length of all."""
    kind, entries = resource.kind, listing.entries
    if kind.behaviour is None:
        cut, opening, between = len(f'{{"kind":"{kind.kind}","apiVersion":"{kind.api_version}",'), b',"items":[{', b",{"
        name, metadata = f"{kind.kind}List", orjson.dumps(listing.metadata())
    else:
        cut, opening, between = 0, b',"items":[', b","
        name, metadata = kind.behaviour.list_kind, orjson.dumps({"continue": "", **listing.metadata()})
    start = f'{{"kind":"{name}","apiVersion":"{kind.api_version}","metadata":'.encode() + metadata + opening
    end = b"]}\n"
    length = len(start) + len(end) + sum(len(e.data) for e in entries) - cut * len(entries) + len(between) * (len(entries) - 1)

    def pieces() -> Iterator[bytes]:
        items: list[Any] = [start]
        size, before = 0, b""
        for entry in entries:
            items += (before, memoryview(entry.data)[cut:])
            size, before = size + len(entry.data), between
            if size >= _PIECE:
                yield b"".join(items)
                items, size = [], 0
        yield b"".join((*items, end))

    return pieces(), length


async def _splice_custom(resource: Resource, listing: Listing, list_kind: str) -> bytes:
    if resource.same_version:
        items = [e.data for e in listing.entries]
    else:
        items = [orjson.dumps(obj) for obj in await all_shown(resource, [e.obj for e in listing.entries])]
    metadata = orjson.dumps({"continue": "", **listing.metadata()})
    start = f'{{"kind":"{list_kind}","apiVersion":"{resource.kind.api_version}","metadata":'.encode() + metadata
    return b"".join((start, b',"items":[', b",".join(items), b"]}"))


async def read(registry: Registry, resource: Resource, selection: Selection, options: ListOptions) -> Listing:
    """What a list answers. Raises Expired, Timeout for a revision that has not come, and BadRequest for a bad token."""
    if selection.converted:
        return await _converted(registry, resource, selection, options)
    if options.continue_:
        return await _continued(registry, resource, selection, options)
    revision, cache = _revision(options.resource_version), resource.cache
    if options.match == EXACT or (revision and options.limit and not options.match):
        return await _at_revision(registry, resource, selection, options, revision)
    if options.resource_version != "0":
        await cache.fresh(revision)
    else:
        await cache.ready()
        if resource.kind.kind != "Event":
            options = replace(options, limit=0)  # upstream's watch cache, which events have none of, gives all that it has
    return _counted(registry, resource, selection, _from_cache(resource, selection, options))


def _counted(registry: Registry, resource: Resource, selection: Selection, listing: Listing) -> Listing:
    index = next((f"f:{name}" for name in selection.index or () if not name.startswith("metadata.")), "")
    registry.counters.listed(resource.storage, index, listing.fetched, len(listing.entries))
    return listing


async def _converted(registry: Registry, resource: Resource, selection: Selection, options: ListOptions) -> Listing:
    """What is selected of all that is stored, in the version asked for."""
    limit, match = options.limit, options.match
    if limit and not match and not options.continue_ and _revision(options.resource_version):
        match = EXACT
    stored = await read(registry, resource, selection.stored, replace(options, limit=0, match=match))
    found: list[Cached] = [e for e in await converted(resource, stored.entries) if selection.matches(e)]
    if not limit or len(found) <= limit:
        return Listing(found, stored.revision)
    return _page(found[:limit], selection, stored.revision, len(found) - limit)


def _revision(text: str) -> int:
    """Raises BadRequest."""
    try:
        return revision_of(text)
    except errors.BadRequest as error:
        raise errors.BadRequest(f"invalid resource version: {error.message}") from None


def _from_cache(resource: Resource, selection: Selection, options: ListOptions, after: str = "") -> Listing:
    cache, revision = resource.cache, resource.cache.revision
    if selection.key:
        entry = cache.get(selection.key)
        fetched: list[Cached] = [entry] if entry is not None else []
        return Listing([e for e in fetched if selection.matches(e)], revision, fetched=len(fetched))
    entries = cache.items(selection.prefix, selection.index, selection.exact_labels, after)
    if options.limit and selection.everything:
        found: list[Cached] = list(islice(entries, options.limit))
        rest = cache.following(selection.prefix, found[-1].key) if len(found) == options.limit else 0
        return _page(found, selection, revision, rest)
    return _part_of(entries, selection, options.limit, revision)


def _part_of(entries: Iterable[Cached], selection: Selection, limit: int, revision: int) -> Listing:
    """What is selected of entries in key order, at most `limit`. There is a next page when entries are left, selected or not."""
    if not limit:
        fetched = list(entries)
        return Listing(fetched if selection.everything else [e for e in fetched if selection.matches(e)], revision, fetched=len(fetched))
    found, following, looked_at = [], iter(entries), 0
    for entry in following:
        looked_at += 1
        if selection.matches(entry):
            found.append(entry)
            if len(found) == limit:
                break
    return _page(found, selection, revision, sum(1 for _ in following), looked_at)


def _page(found: list[Cached], selection: Selection, revision: int, rest: int, fetched: int = 0) -> Listing:
    """A page with `rest` entries after it."""
    fetched = fetched or len(found)
    if not rest:
        return Listing(found, revision, fetched=fetched)
    token = encode_continue(found[-1].key, selection.prefix, revision)
    return Listing(found, revision, token, rest if selection.everything else None, fetched)


async def _continued(registry: Registry, resource: Resource, selection: Selection, options: ListOptions) -> Listing:
    after, revision = decode_continue(options.continue_, selection.prefix)
    if options.resource_version not in ("", "0"):
        raise errors.BadRequest("specifying resource version is not allowed when using continue")
    if revision > resource.cache.revision:
        await _come(resource, revision)
    if revision == INCONSISTENT:
        await resource.cache.fresh()
    if revision == INCONSISTENT or revision == resource.cache.revision >= registry.compacted:
        return _counted(registry, resource, selection, _from_cache(resource, selection, options, after))
    try:
        return await _from_the_past(registry, resource, selection, options, revision, after)
    except Compacted:
        raise ContinueExpired(encode_continue(after, selection.prefix, INCONSISTENT)) from None


async def _at_revision(registry: Registry, resource: Resource, selection: Selection, options: ListOptions, revision: int) -> Listing:
    if revision > resource.cache.revision:
        await _come(resource, revision)
    if revision in (0, resource.cache.revision):
        return _counted(registry, resource, selection, _from_cache(resource, selection, options))
    try:
        return await _from_the_past(registry, resource, selection, options, revision, "")
    except Compacted:
        raise errors.Expired("The resourceVersion for the provided list is too old.") from None


async def _come(resource: Resource, revision: int) -> None:
    """Waits for a certain revision. Raises Timeout, which says nothing of trying again: it is upstream's store that says so."""
    try:
        await resource.cache.fresh(revision)
    except errors.Timeout as error:
        error.retry_after = 0
        raise


async def _from_the_past(
    registry: Registry, resource: Resource, selection: Selection, options: ListOptions, revision: int, after: str
) -> Listing:
    """What the cache remembers of the recent past, or pages of the store until `limit` objects match. Raises Compacted."""
    limit = options.limit
    if revision < registry.compacted:
        raise Compacted(revision, registry.compacted)
    recent = resource.cache.items_at(revision, selection.prefix)
    if recent is not None:
        if selection.key:
            recent = [e for e in recent if e.key == selection.key]
        return _part_of([e for e in recent if e.key > after] if after else recent, selection, limit, revision)
    found: list[Cached] = []
    size = limit if limit and selection.everything else (_PAGE if limit else 0)
    while True:
        page = await registry.store.range(selection.prefix, after=after, limit=size, revision=revision)
        for at, entry in enumerate(page.entries):
            candidate = _Past(resource, entry.key, entry.revision, entry.value)
            after = entry.key
            if selection.key and entry.key != selection.key:
                continue
            if not selection.matches(candidate):
                continue
            found.append(candidate)
            rest = len(page.entries) - at - 1 + page.remaining
            if limit and len(found) == limit and rest:
                token = encode_continue(after, selection.prefix, revision)
                return Listing(found, revision, token, rest if selection.everything else None)
        if not page.remaining or not page.entries:
            return Listing(found, revision)


class _Past:
    """An entry read from the store at a revision of the past, with a cache entry's face."""

    __slots__ = ("_obj", "_resource", "data", "key", "revision")

    def __init__(self, resource: Resource, key: str, revision: int, value: bytes) -> None:
        self.key, self.revision = key, revision
        behaviour = resource.kind.behaviour
        if behaviour is not None:
            value = encode(behaviour.canonical(decode(value)))
        self.data = with_revision(value, revision)
        self._resource = resource
        self._obj: Object | None = None

    @property
    def obj(self) -> Object:
        if self._obj is None:
            self._obj = decode(self.data)
        return self._obj

    @property
    def message(self) -> bytes:
        return protobuf.message(self.obj)

    @property
    def labels(self) -> Mapping[str, str]:
        return labels(self.obj)

    @property
    def fields(self) -> dict[str, str]:
        return selectable_fields(self._resource.storage, self.obj)


class ContinueExpired(errors.Expired):
    """The revision of a paged list is gone; the Status carries a token that goes on inconsistently."""

    def __init__(self, token: str) -> None:
        super().__init__(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the "
            "continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with "
            "the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the "
            "first chunk was returned and now may show up in the list."
        )
        self.token = token

    def to_status(self) -> Object:
        return {**super().to_status(), "metadata": {"continue": self.token}}
