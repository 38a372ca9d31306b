"""All of aggregation put together, and what it adds to discovery and OpenAPI."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kubetree.api.objects import has_condition
from kubetree.apiserver.aggregation.api_services import API_SERVICE, AVAILABLE, OWN_GROUP, by_group
from kubetree.apiserver.aggregation.key_pair import KeyPairFiles
from kubetree.apiserver.aggregation.openapi import RemoteDocuments
from kubetree.apiserver.aggregation.proxy import Proxy
from kubetree.apiserver.aggregation.registration import Registration
from kubetree.apiserver.aggregation.remote import Transport
from kubetree.apiserver.aggregation.remotes import Remotes
from kubetree.apiserver.connect.backend import Backends
from kubetree.apiserver.discovery.documents import Served, groups
from kubetree.apiserver.lister import Lister
from kubetree.apiserver.metrics.exposition import family, labelled
from kubetree.apiserver.registry import Registry, Writer
from kubetree.apiserver.webhooks import ServiceResolver

Object = dict[str, Any]


class Aggregation:
    """`changed` is called when discovery must be made anew; `address` gives this server's URL."""

    def __init__(
        self,
        registry: Registry,
        lister: Lister,
        writer: Writer,
        resolver: ServiceResolver,
        backends: Backends,
        address: Callable[[], str],
    ) -> None:
        config = registry.config
        self._lister, self._kinds = lister, registry.kinds
        files = KeyPairFiles(config.proxy_client_cert_file, config.proxy_client_key_file)
        self.transport = Transport(resolver, lambda: backends.session, files.pair, address)
        self.on_change: list[Callable[[], None]] = []
        self.remotes = Remotes(registry, lister, writer, self.transport, self._changed)
        self.registration = Registration(registry, lister, writer)
        self.proxy = Proxy(self.transport, redirects=not config.aggregator_reject_forwarding_redirect)
        self.documents = RemoteDocuments(self.remotes, self.transport, time.monotonic)

    async def run(self) -> None:
        """Until cancelled. `registration.first` has been called."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.registration.run(), name="registration of APIServices")
            group.create_task(self.remotes.run(), name="remote APIServices")

    def _changed(self) -> None:
        for callback in self.on_change:
            callback()

    def metrics(self) -> Iterator[str]:
        down = [
            (labelled(("name",), (obj["metadata"]["name"],)), float(not has_condition(obj, AVAILABLE)))
            for obj in self._lister.list(API_SERVICE)
        ]
        yield from family(
            "aggregator_unavailable_apiservice",
            "gauge",
            "[ALPHA] Gauge of APIServices which are marked as unavailable broken down by APIService name.",
            down,
        )
        outages = [(labelled(("name", "reason"), key), n) for key, n in sorted(self.remotes.outages.items())]
        text = "[ALPHA] Counter of APIServices which are marked as unavailable broken down by APIService name and reason."
        yield from family("aggregator_unavailable_apiservice_total", "counter", text, outages)

    # What discovery asks: see discovery.endpoints.Aggregation.

    def generation(self) -> int:
        return self._lister.generation(API_SERVICE)

    def groups(self) -> Mapping[str, list[str]]:
        services = self._lister.list(API_SERVICE)
        return of_services(services) if services else groups(self._kinds)

    def others(self) -> Iterable[Served]:
        for remote in self.remotes:
            if remote.discovery is None and not remote.stale:
                continue
            now = self._lister.get(API_SERVICE, "", remote.name)
            if now is None:
                continue
            spec, found = now["spec"], remote.discovery or {"version": remote.version}
            document = {
                "version": remote.version,
                **{key: value for key, value in found.items() if key != "freshness"},
                "freshness": "Stale" if remote.stale else "Current",
            }
            yield Served(remote.group, remote.version, spec["groupPriorityMinimum"], spec["versionPriority"], document)


def of_services(services: Iterable[Object]) -> dict[str, list[str]]:
    """The group of APIServices itself, for which there is none, comes first."""
    found = by_group(services)
    return {OWN_GROUP: ["v1"]} | {group: versions for group, versions in found.items() if group and group != OWN_GROUP}
