"""What must be there once the port is open: the default namespaces; and what must be done as time goes by: compaction."""

from __future__ import annotations

import asyncio
import logging

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.apiserver.admission.priority import ensure_system_priority_classes
from kubetree.apiserver.allocators.service_cidrs import ensure_default_service_cidr
from kubetree.apiserver.authentication.published import publish_authentication
from kubetree.apiserver.authorization.bootstrap.reconcile import reconcile_bootstrap_policy
from kubetree.apiserver.registry import Registry, Writer
from kubetree.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_NAMESPACE = kind("v1", "Namespace")


async def run_hooks(registry: Registry, writer: Writer) -> None:
    """Returns once everything is there that clients rely on."""
    await ensure_namespaces(writer)
    await ensure_system_priority_classes(writer)
    await ensure_default_service_cidr(writer, registry.config.service_cluster_ip_range, registry.clock)
    await publish_authentication(writer, registry.config)
    if "RBAC" in registry.config.authorization_mode:
        await reconcile_bootstrap_policy(writer)


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
