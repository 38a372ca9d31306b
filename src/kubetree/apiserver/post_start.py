"""What must be there once the port is open: the default namespaces; and what must be done as time goes by: compaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.apiserver.admission.priority import ensure_system_priority_classes
from kubetree.apiserver.allocators.service_cidrs import ensure_default_service_cidr
from kubetree.apiserver.authentication.published import CONFIG_MAP, NAMESPACE, publish_authentication
from kubetree.apiserver.authorization.bootstrap.reconcile import reconcile_bootstrap_policy
from kubetree.apiserver.flow_control.maintenance import ensure_objects
from kubetree.apiserver.registry import Registry, Writer
from kubetree.store.protocol import Store, StoreUnavailable

log = logging.getLogger(__name__)
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_NAMESPACE = kind("v1", "Namespace")


async def run_hooks(registry: Registry, writer: Writer, done: Callable[[str], None]) -> None:
    """Returns once everything is there that clients rely on. `done` is told the name of each step as /readyz has it."""
    await ensure_namespaces(writer)
    done("start-system-namespaces-controller")
    await ensure_system_priority_classes(writer)
    done("scheduling/bootstrap-system-priority-classes")
    await ensure_default_service_cidr(writer, registry.config.service_cluster_ip_range, registry.clock)
    done("start-kubernetes-service-cidr-controller")
    await publish_authentication(writer, registry.config)
    done("start-cluster-authentication-info-controller")
    if registry.config.enable_priority_and_fairness:
        await ensure_objects(writer)
    done("priority-and-fairness-config-producer")
    await ensure_token_tracking(writer, registry.clock)
    done("start-legacy-token-tracking-controller")
    if "RBAC" in registry.config.authorization_mode:
        await reconcile_bootstrap_policy(writer, registry.features)
    done("rbac/bootstrap-roles")


_TRACKING = "kube-apiserver-legacy-service-account-token-tracking"


async def ensure_token_tracking(writer: Writer, clock: Callable[[], datetime]) -> None:
    """The ConfigMap that says since when uses of old service-account tokens have been noted: kube-controller-manager removes tokens that
    have not been used since."""
    try:
        await writer.get(CONFIG_MAP, NAMESPACE, _TRACKING)
    except errors.NotFound:
        metadata = {"name": _TRACKING, "namespace": NAMESPACE}
        with suppress(errors.AlreadyExists):
            await writer.create(CONFIG_MAP, {"metadata": metadata, "data": {"since": f"{clock().astimezone(UTC):%Y-%m-%d}"}})


async def store_health(store: Store, longest: float) -> str:
    """'' when the store answers within `longest` seconds (0: two), else what is wrong with it."""
    longest = longest or 2.0
    try:
        async with asyncio.timeout(longest):
            await store.revision()
    except TimeoutError:
        return f"the store did not answer in {longest:g} s"
    except StoreUnavailable as error:
        return str(error) or "the store is unavailable"
    return ""


async def measure_regularly(registry: Registry) -> None:
    """How large the store is, again and again."""
    while True:
        try:
            registry.counters.stored_bytes = await registry.store.size()
        except (StoreUnavailable, OSError) as error:
            log.debug("the size of the store is not known: %s", error)
        await asyncio.sleep(registry.config.etcd_db_metric_poll_interval)


async def ensure_namespaces(writer: Writer) -> None:
    standing = {obj["metadata"]["name"] for obj in await writer.list(_NAMESPACE)}
    for name in SYSTEM_NAMESPACES:
        if name in standing:
            continue
        try:
            await writer.create(_NAMESPACE, {"metadata": {"name": name}})
        except errors.AlreadyExists:
            continue


async def compact_regularly(registry: Registry) -> None:
    """Every interval, forgets what was overwritten before the interval that just passed. Without an interval: never."""
    if not registry.config.compaction_interval:
        return
    previous = await registry.store.revision()
    while True:
        await asyncio.sleep(registry.config.compaction_interval)
        try:
            current = await registry.store.revision()
            await registry.store.compact(previous)
            registry.compacted, previous = previous, current
        except StoreUnavailable as error:
            log.warning("compaction put off: %s", error)
