"""Keeps an APIService for every group and version that this server serves itself: the built-in ones and those of custom resources.

Follows kube-aggregator's autoregister controller and controlplane's crdregistration: built-in ones are written at start and then left to
the administrator, those of custom resources are kept as they must be all the time. What carries another label value is nobody's business.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from kubetree.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kinds
from kubetree.apiserver.aggregation.api_services import (
    ALWAYS,
    API_SERVICE,
    AUTOMANAGED,
    BUILT_IN,
    CUSTOM_PRIORITY,
    ON_START,
    OWN_GROUP,
    local_spec,
    name_of,
)
from kubetree.apiserver.cache.changes import Changes
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.registry import Registry, Writer
from kubetree.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)
CUSTOM_RESOURCE_DEFINITION = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_RETRY = 1.0

Object = dict[str, Any]


class Wanted(NamedTuple):
    """The APIService that there should be for a group and version of this server."""

    spec: Object
    managed: str
    """ON_START or ALWAYS."""


def built_in(kinds: Kinds) -> dict[str, Wanted]:
    """By name, for what this server serves without definitions."""
    served = dict.fromkeys((row.group, row.version) for row in kinds if (row.group, row.version) in BUILT_IN)
    return {name_of(g, v): Wanted(local_spec(g, v, BUILT_IN[g, v]), ON_START) for g, v in served}


def of_definitions(definitions: Iterable[Object]) -> dict[str, Wanted]:
    """The served versions of all CustomResourceDefinitions."""
    found = {}
    for definition in definitions:
        spec = definition["spec"]
        for version in spec.get("versions") or ():
            if version.get("served") and (spec["group"], version["name"]) not in BUILT_IN and spec["group"] != OWN_GROUP:
                wanted = Wanted(local_spec(spec["group"], version["name"], CUSTOM_PRIORITY), ALWAYS)
                found[name_of(spec["group"], version["name"])] = wanted
    return found


CREATE, UPDATE, DELETE = "create", "update", "delete"


def step(wanted: Wanted | None, standing: Object | None, *, at_start: bool, done: bool) -> str:
    """What to do about one APIService: CREATE, UPDATE, DELETE or '' for nothing.

    `at_start`: it was there when this server started. `done`: it has been dealt with once.
    """
    if wanted is not None and wanted.managed == ON_START and done:
        return ""
    if standing is None:
        return CREATE if wanted is not None else ""
    managed = (standing["metadata"].get("labels") or {}).get(AUTOMANAGED)
    if managed not in (ON_START, ALWAYS) or (managed == ON_START and (done or not at_start)):
        return ""
    if wanted is None:
        return DELETE
    return "" if standing["spec"] == wanted.spec else UPDATE


class Registration:
    """`run` does the first round at once; `complete` tells when it is done."""

    def __init__(self, registry: Registry, lister: Lister, writer: Writer) -> None:
        self._registry, self._lister, self._writer = registry, lister, writer
        self._done: set[str] = set()
        self._at_start: set[str] | None = None

    async def first(self) -> None:
        """Deals with all of them; raises ApiError when one cannot be written."""
        standing = {obj["metadata"]["name"]: obj for obj in await self._writer.list(API_SERVICE)}
        if self._at_start is None:
            self._at_start = set(standing)
        await self._registry.resource(CUSTOM_RESOURCE_DEFINITION).cache.ready()
        await self._all(standing)

    async def run(self) -> None:
        """Follows definitions and APIServices until cancelled. `first` has been called."""
        places = [(self._registry.resource(row).cache, "") for row in (API_SERVICE, CUSTOM_RESOURCE_DEFINITION)]
        with Changes(*places) as changes:
            while True:
                try:
                    await self.first()
                except (ApiError, StoreUnavailable) as error:
                    log.warning("APIServices could not be brought up to date: %s", error)
                    await asyncio.sleep(_RETRY)
                    continue
                await changes.wait()

    async def _all(self, standing: Mapping[str, Object]) -> None:
        wanted = built_in(self._registry.kinds) | of_definitions(self._lister.list(CUSTOM_RESOURCE_DEFINITION))
        for name in dict.fromkeys([*wanted, *standing]):
            await self._one(name, wanted.get(name), standing.get(name))
            self._done.add(name)

    async def _one(self, name: str, wanted: Wanted | None, standing: Object | None) -> None:
        todo = step(wanted, standing, at_start=name in (self._at_start or ()), done=name in self._done)
        with suppress(AlreadyExists, NotFound, Conflict):  # another server was faster: its write is seen and comes round again
            if todo == DELETE and standing is not None:
                await self._writer.delete(API_SERVICE, "", name, uid=standing["metadata"]["uid"])
            elif wanted is not None and todo == CREATE:
                metadata = {"name": name, "labels": {AUTOMANAGED: wanted.managed}}
                await self._writer.create(API_SERVICE, {"metadata": metadata, "spec": wanted.spec})
            elif wanted is not None and todo == UPDATE:
                spec = wanted.spec
                await self._writer.update(API_SERVICE, "", name, lambda obj: obj | {"spec": spec})
