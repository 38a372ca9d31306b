"""Puts an API server together: the one place that knows which part needs which. Returns it running, in a context to leave."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial

from kubetree.api.kinds import Kind, Kinds
from kubetree.apiserver.admission.build import build_admission
from kubetree.apiserver.aggregation.aggregation import Aggregation
from kubetree.apiserver.allocators.build import build_allocators
from kubetree.apiserver.allocators.metrics import allocation_lines
from kubetree.apiserver.audit.build import build_auditing, no_auditing
from kubetree.apiserver.authentication.build import build_authenticator
from kubetree.apiserver.authorization.build import build_authorizer
from kubetree.apiserver.cache.caches import CacheLister, Caches
from kubetree.apiserver.cache.window import WindowLimits
from kubetree.apiserver.connect.backend import Backends
from kubetree.apiserver.context import Handler, Middleware
from kubetree.apiserver.coordinated_election.controller import CANDIDATE, LEASE, CoordinatedElection
from kubetree.apiserver.custom_resources.any_version import converter
from kubetree.apiserver.custom_resources.controller import DefinitionController
from kubetree.apiserver.custom_resources.conversion import Codecs
from kubetree.apiserver.custom_resources.following import Following
from kubetree.apiserver.discovery.endpoints import Discovery
from kubetree.apiserver.dispatch import Dispatcher
from kubetree.apiserver.encryption.build import Encryption
from kubetree.apiserver.encryption.store import EncryptedStore, Named
from kubetree.apiserver.encryption.transformers import IDENTITY
from kubetree.apiserver.flow_control.controller import FlowControl
from kubetree.apiserver.flow_control.dumps import pages
from kubetree.apiserver.flow_control.metrics import FlowMetrics
from kubetree.apiserver.identifiers import new_uuid
from kubetree.apiserver.identity_lease import server_id
from kubetree.apiserver.kubernetes_service import external_address
from kubetree.apiserver.metrics.access import AccessMetrics
from kubetree.apiserver.metrics.choice import Choice
from kubetree.apiserver.metrics.process import build_lines, process_lines
from kubetree.apiserver.metrics.requests import Metrics
from kubetree.apiserver.metrics.storage import storage_lines
from kubetree.apiserver.metrics.store import MeasuredStore
from kubetree.apiserver.middleware.audit import audit, record_refusal
from kubetree.apiserver.middleware.authentication import authenticate
from kubetree.apiserver.middleware.authorization import DenyEverything, authorize
from kubetree.apiserver.middleware.errors import render_errors
from kubetree.apiserver.middleware.flow_control import take_turns
from kubetree.apiserver.middleware.impersonation import act_as
from kubetree.apiserver.middleware.max_in_flight import limit_requests
from kubetree.apiserver.middleware.response_headers import answer_headers
from kubetree.apiserver.middleware.storage_version import await_storage_versions
from kubetree.apiserver.middleware.timeout import Deadlines, limit_time
from kubetree.apiserver.options.config import Config
from kubetree.apiserver.options.program_version import version_info
from kubetree.apiserver.pages.health import Check, Health
from kubetree.apiserver.pages.logs import logs_page
from kubetree.apiserver.pages.openapi import OpenAPI
from kubetree.apiserver.pages.openid import add_openid_pages
from kubetree.apiserver.pages.table import add_pages
from kubetree.apiserver.pages.zpages import ZPages
from kubetree.apiserver.parts import Parts
from kubetree.apiserver.post_start import store_health
from kubetree.apiserver.registry import Registry
from kubetree.apiserver.storage_versions.manager import StorageVersions
from kubetree.apiserver.storage_versions.resources import stored_resources
from kubetree.apiserver.subresources.review_replies import review_replies
from kubetree.apiserver.subresources.table import add_actions
from kubetree.apiserver.webhooks import WebhookClient, service_resolver
from kubetree.apiserver.writer import RegistryWriter
from kubetree.client.leader_election import Timing
from kubetree.store.prefixed import ROOT, PrefixedStore, normal
from kubetree.store.protocol import Store


@asynccontextmanager
async def build(
    config: Config, kinds: Kinds, store: Store, clock: Callable[[], datetime], metrics: Metrics, address: Callable[[], str]
) -> AsyncIterator[Parts]:
    """`address` gives the server's URL once it listens. What is made here is closed again in the opposite order."""
    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as closing:
        store, named = _below(store, config.etcd_prefix)
        measured = MeasuredStore(store, kinds)
        store = measured
        encryption = await _encryption(config, kinds, tasks)
        if encryption is not None:
            store = EncryptedStore(store, encryption.transformer_of, named)
        elif config.storage.startswith("etcd"):  # upstream's server may have written protobuf into it
            store = EncryptedStore(store, lambda key: IDENTITY)
        metrics.choice = Choice(config.disabled_metrics, {key: values.split(",") for key, values in config.metric_labels.items()})
        caches = Caches(store, limits=partial(window_limits, config))
        if encryption is not None:
            closing.push_async_callback(encryption.close)
        registry = Registry(config, kinds, store, caches.cache_of, clock, DenyEverything(), new_uuid)
        writer, lister = RegistryWriter(registry), CacheLister(caches)
        webhooks = WebhookClient(service_resolver(lister, endpoints=config.enable_aggregator_routing), counts=registry.counters.calls)
        closing.push_async_callback(webhooks.close)

        # Who asks, and what they may do.
        authorization = build_authorizer(config, lister, webhooks)
        registry.authorizer = authorization.authorizer
        authentication = build_authenticator(config, lister, writer, webhooks, counters=registry.counters)
        closing.push_async_callback(authentication.close)

        # What a write goes through, and what is reserved along with it.
        deadlines, convert = Deadlines(config.request_timeout), converter(kinds, lambda row: registry.resource(row).codec)
        chain = registry.admission = build_admission(
            config,
            lister,
            writer,
            authorization,
            now=clock,
            kinds=kinds,
            webhooks=webhooks,
            convert=convert,
            left=deadlines.left,
            counters=registry.counters,
        )
        allocators = build_allocators(config, lister, writer, store, clock, registry.counters)
        registry.add_hook(allocators.hook)

        # Kinds that users define, and those that other servers have.
        registry.codec_of = Codecs(webhooks, new_uuid, registry.counters)
        following = Following(registry, caches)
        definitions = DefinitionController(registry, writer, following)
        backends = Backends(config)
        closing.push_async_callback(backends.close)
        aggregation = Aggregation(registry, lister, writer, webhooks.resolver, backends, address)

        # What is to be found at which path.
        discovery = Discovery(
            kinds,
            lambda: _told(config, address()),
            aggregation,
            lambda: [*dispatcher.paths(), *health.paths()],
            hashes="StorageVersionHash" in registry.features,
        )
        dispatcher = Dispatcher(registry, discovery, aggregation, metrics)
        health = Health(
            partial(store_health, store, config.etcd_healthcheck_timeout),
            partial(store_health, store, config.etcd_readycheck_timeout),
            grace=config.livez_grace_period,
            features=registry.features,
        )
        openapi = OpenAPI(kinds, aggregation, clock)
        add_actions(dispatcher, backends, authentication.minter, review_replies(authentication, authorization, clock))
        add_openid_pages(dispatcher, authentication, lambda: external_address(config, address()))
        zpages = ZPages(dict(config.flags), clock(), clock, registry.features)
        add_pages(dispatcher, health, metrics, openapi, zpages, config.git_version, profiling=config.profiling)
        if config.enable_logs_handler:
            dispatcher.pages |= {"/logs": logs_page, "/logs/": logs_page}
        for changed in (discovery.changed, openapi.changed):
            kinds.on_change(changed)
        aggregation.on_change.append(discovery.changed)

        closing.callback(tasks.create_task(caches.run()).cancel)
        await _filled(caches, registry, following, health)

        # What a request passes on its way to the dispatcher, from the inside out.
        flow_control, access = _flow_control(config, registry, lister, writer), AccessMetrics()
        auditing = build_auditing(config.audit, tasks, clock, webhooks)
        if auditing is not None:
            auditing.ready = lambda: health.started
            closing.push_async_callback(auditing.sink.close)
        storage_versions = _storage_versions(registry, writer, clock)
        layers = (
            *([await_storage_versions(storage_versions)] if storage_versions is not None else ()),
            authorize(registry.authorizer, access),
            _admit_requests(config, flow_control, metrics, dispatcher),
            act_as(registry.authorizer),
            *([audit(auditing)] if auditing is not None else ()),
            authenticate(authentication.requests, access, partial(record_refusal, auditing) if auditing is not None else None),
            limit_time(deadlines),
            render_errors(metrics),
            *answer_headers(config),
        )
        handler: Handler = dispatcher
        for layer in layers:
            handler = layer(handler)

        metrics.sections += [
            chain.metrics.render,
            registry.counters.lines,
            authentication.metrics,
            measured.metrics,
            lambda: allocation_lines(lister, config.service_node_port_range),
            lambda: storage_lines(caches, config.storage, registry.counters.stored_bytes),
            aggregation.metrics,
            lambda: build_lines(version_info(config.git_version), registry.features),
            process_lines,
            lambda: access.lines(authorization.decisions),
            auditing.metrics if auditing is not None else no_auditing,
        ]
        followed = (authentication.reloads, authorization.reloads, encryption.reloads if encryption is not None else None)
        metrics.sections += [reloads.lines for reloads in followed if reloads is not None]

        # What goes on beside requests.
        if encryption is not None and (encryption.uses_kms or config.encryption_provider_config_automatic_reload):
            health.add(Check("kms-providers", encryption.check))
        if authentication.run is not None:
            authentication.run(tasks)
        if authorization.follow is not None:
            closing.callback(tasks.create_task(authorization.follow()).cancel)
        parts = Parts(
            registry=registry,
            writer=writer,
            lister=lister,
            discovery=discovery,
            dispatcher=dispatcher,
            health=health,
            handler=handler,
            allocators=allocators,
            definitions=definitions,
            webhooks=webhooks,
            aggregation=aggregation,
            address=address,
            tasks=tasks,
            deadlines=deadlines,
            flow_control=flow_control,
            storage_versions=storage_versions,
            election=_election(registry, writer, lister),
        )
        closing.push_async_callback(parts.ended)
        closing.callback(parts.stopping)
        yield parts


async def _filled(caches: Caches, registry: Registry, following: Following, health: Health) -> None:
    """Returns when the caches show what is stored, and the rows of custom resources are there with theirs."""
    for kind in registry.kinds:
        if kind.stored:
            registry.resource(kind)
    await caches.ready()
    following.sync()
    await caches.ready()
    health.done("generic-apiserver-start-informers", "storage-readiness", "start-kube-aggregator-informers", "crd-informer-synced")


def _below(store: Store, prefix: str) -> tuple[Store, Named]:
    """The part of the store that is this cluster's, and what keys are called in the whole."""
    if normal(prefix) == ROOT:
        return store, str.encode
    part = PrefixedStore(store, prefix)
    return part, lambda key: part.key(key).encode()


def window_limits(config: Config, kind: Kind) -> WindowLimits:
    """How many events a kind's cache keeps at least; upstream's list of sizes may say 0, for which there is the default."""
    return WindowLimits(least=max(1, config.watch_cache_sizes.get(kind.group_resource) or config.default_watch_cache_size))


def _flow_control(config: Config, registry: Registry, lister: CacheLister, writer: RegistryWriter) -> FlowControl | None:
    total = config.max_requests_inflight + config.max_mutating_requests_inflight
    return FlowControl(registry, lister, writer, total) if config.enable_priority_and_fairness and total else None


def _admit_requests(config: Config, control: FlowControl | None, metrics: Metrics, dispatcher: Dispatcher) -> Middleware:
    if control is None:
        return limit_requests(config.max_requests_inflight, config.max_mutating_requests_inflight, metrics)
    flows = FlowMetrics(control.levels)
    metrics.sections.append(flows.lines)
    dispatcher.pages |= pages(control.levels)
    return take_turns(control, metrics, flows, config.request_timeout)


def _storage_versions(registry: Registry, writer: RegistryWriter, clock: Callable[[], datetime]) -> StorageVersions | None:
    if not {"StorageVersionAPI", "APIServerIdentity"} <= registry.features:
        return None
    return StorageVersions(writer, clock, server_id(socket.gethostname()), stored_resources(registry.kinds))


def _election(registry: Registry, writer: RegistryWriter, lister: CacheLister) -> CoordinatedElection | None:
    if "CoordinatedLeaderElection" not in registry.features or CANDIDATE not in registry.kinds:
        return None
    config = registry.config
    timing = Timing(
        config.coordinated_leadership_lease_duration,
        config.coordinated_leadership_renew_deadline,
        config.coordinated_leadership_retry_period,
    )
    caches = [registry.resource(row).cache for row in (LEASE, CANDIDATE)]
    return CoordinatedElection(writer, lister, caches, registry.clock, f"{socket.gethostname()}_{new_uuid()}", timing)


async def _encryption(config: Config, kinds: Kinds, tasks: asyncio.TaskGroup) -> Encryption | None:
    if config.encryption_provider_config is None:
        return None
    encryption = Encryption(config.encryption_provider_config, kinds, time.time, new_uuid, tasks)
    await encryption.start(reload=config.encryption_provider_config_automatic_reload)
    return encryption


def _told(config: Config, url: str) -> str:
    """host:port that /api tells clients of."""
    here = config.bind_address in ("127.0.0.1", "::1") and not (config.external_hostname or config.advertise_address)
    return url.partition("://")[2] if here else external_address(config, url)
