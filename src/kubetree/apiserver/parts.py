"""What a started API server is made of, and what it does from the moment its port is open until it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from kubetree.apiserver.aggregation.aggregation import Aggregation
from kubetree.apiserver.aggregation.api_services import API_SERVICE
from kubetree.apiserver.allocators.build import Allocators
from kubetree.apiserver.authentication.published import authority_files, publish_authentication
from kubetree.apiserver.background import Work, kept_running
from kubetree.apiserver.cache.caches import CacheLister
from kubetree.apiserver.context import Handler
from kubetree.apiserver.coordinated_election.controller import CoordinatedElection
from kubetree.apiserver.custom_resources.controller import DefinitionController
from kubetree.apiserver.discovery.endpoints import Discovery
from kubetree.apiserver.dispatch import Dispatcher
from kubetree.apiserver.flow_control.controller import FlowControl
from kubetree.apiserver.identifiers import new_uuid
from kubetree.apiserver.identity_lease import IdentityLease
from kubetree.apiserver.kubernetes_service import KubernetesService, advertised_address, external_address
from kubetree.apiserver.middleware.timeout import Deadlines
from kubetree.apiserver.options.configuration_files import follow_file
from kubetree.apiserver.pages.health import Health
from kubetree.apiserver.post_start import compact_regularly, measure_regularly, run_hooks
from kubetree.apiserver.registry import Registry
from kubetree.apiserver.storage_versions.manager import StorageVersions
from kubetree.apiserver.webhooks import WebhookClient
from kubetree.apiserver.writer import RegistryWriter

LAST_WORDS = 3.0
_LOOK_AGAIN = 0.02


@dataclass(slots=True)
class Parts:
    """What a started server is made of; `handler` is the outermost middleware."""

    registry: Registry
    writer: RegistryWriter
    lister: CacheLister
    discovery: Discovery
    dispatcher: Dispatcher
    health: Health
    handler: Handler
    allocators: Allocators
    definitions: DefinitionController
    webhooks: WebhookClient
    aggregation: Aggregation
    address: Callable[[], str]
    tasks: asyncio.TaskGroup
    deadlines: Deadlines
    flow_control: FlowControl | None = None
    storage_versions: StorageVersions | None = None
    election: CoordinatedElection | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _running: list[asyncio.Task[None]] = field(default_factory=list)

    async def started(self) -> None:
        """The port is open: runs the post-start hooks; returns when the server may be used. Raises what a hook raises."""
        await run_hooks(self.registry, self.writer, self.health.done)
        await self.aggregation.registration.first()
        config = self.registry.config
        lease = IdentityLease(self.writer, self.registry.clock, new_uuid(), external_address(config, self.address()))
        if self.storage_versions is not None:
            await lease.renew()  # without it kube-controller-manager would take what follows for a dead server's
            await self.storage_versions.register()
        self.health.all_done()
        self.aggregation.remotes.take(list(self.lister.list(API_SERVICE)))
        self.ready.set()
        self.run("size of the store", partial(measure_regularly, self.registry))
        self.run("compaction", partial(compact_regularly, self.registry))
        port = int(self.address().rpartition(":")[2])
        advertised = advertised_address(config) if config.endpoint_reconciler_type != "none" else ""
        service = KubernetesService(config, self.registry.store, self.writer, advertised, port)
        self.run("repair of cluster IPs and node ports", self.allocators.repair.run)
        self.run("custom resource definitions", self.definitions.run)
        self.run("aggregation", self.aggregation.run)
        self.run("the kubernetes service", service.run)
        if "APIServerIdentity" in self.registry.features:
            self.run("the server's lease", lease.run)
        if self.storage_versions is not None:
            self.run("storage versions", self.storage_versions.run)
        if self.election is not None:
            self.run("elections", self.election.run)
        if self.flow_control is not None:
            self.run("priority and fairness", self.flow_control.run)
        for authorities in authority_files(config):
            self.run(str(authorities), partial(follow_file, authorities, authorities.read_bytes(), self._republish))

    async def _republish(self, authorities: bytes) -> None:
        """A file of authorities has changed: aggregated servers learn of it."""
        await publish_authentication(self.writer, self.registry.config)

    def run(self, name: str, work: Work) -> None:
        """Besides everything else, until the server stops."""
        self._running.append(self.tasks.create_task(kept_running(name, work), name=name))

    async def drained(self, longest: float) -> None:
        """Returns when no request is under way any more but those that live long, after `longest` seconds at the latest."""
        loop = asyncio.get_running_loop()
        end = loop.time() + longest
        while self.deadlines.running and loop.time() < end:
            await asyncio.sleep(_LOOK_AGAIN)

    async def end_streams(self, longest: float) -> None:
        """Watches and their like are told to end, and waited for up to `longest` seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + longest
        self.registry.streams.end()
        while len(self.registry.streams) and loop.time() < end:
            await asyncio.sleep(_LOOK_AGAIN)

    def stopping(self) -> None:
        self.health.stopping()
        self.ready.clear()
        self.registry.streams.end()
        for task in self._running:
            task.cancel()

    async def ended(self) -> None:
        """Gives what `stopping` has ended time for its last words: a server takes its address and its lease back."""
        if self._running:
            await asyncio.wait(self._running, timeout=LAST_WORDS)
