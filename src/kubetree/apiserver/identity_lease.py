"""The lease by which an API server shows that it lives: `apiserver-<hash of the host's name>` in kube-system; and the end of others' leases
that have run out.

Follows controlplane's identity lease controller and apiserverleasegc.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from kubetree.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from kubetree.api.kind_table import kind
from kubetree.api.times import format_micro_time, parse_time
from kubetree.apiserver.registry import Writer
from kubetree.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)
LEASE = kind("coordination.k8s.io/v1", "Lease")
NAMESPACE = "kube-system"
IDENTITY, COMPONENT, HOST_NAME = "apiserver.kubernetes.io/identity", "kube-apiserver", "kubernetes.io/hostname"
PEER_ADDRESS = "kubernetes.io/peer-advertise-address"
RENEW_EVERY, DURATION, COLLECT_EVERY = 10.0, 3600, 3600.0

Object = dict[str, Any]


def server_id(host: str) -> str:
    """The same for every server of a host's name, as upstream's."""
    data = b"".join(len(text).to_bytes(2, "big") + text for text in (host.encode(), COMPONENT.encode()))
    digest = hashlib.sha256(data).digest()[:16]
    return f"apiserver-{base64.b32encode(digest).decode().rstrip('=').lower()}"


def expired(lease: Object, now: datetime) -> bool:
    spec = lease.get("spec") or {}
    renewed, seconds = spec.get("renewTime"), spec.get("leaseDurationSeconds")
    return not renewed or seconds is None or parse_time(renewed) + timedelta(seconds=seconds) < now


class IdentityLease:
    """`address` is host:port of this server, '' when nobody knows; `token` tells this process from others on the host."""

    def __init__(self, writer: Writer, clock: Callable[[], datetime], token: str, address: str, host: str | None = None) -> None:
        self._writer, self._clock = writer, clock
        self._host = host if host is not None else socket.gethostname()
        self._name = server_id(self._host)
        self._holder, self._address = f"{self._name}_{token}", address

    async def run(self) -> None:
        """Renews until cancelled, and now and then looks after the leases of others; at the end this server's own is taken away."""
        collected = float("-inf")
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    await self.renew()
                    if loop.time() - collected >= COLLECT_EVERY:
                        collected = loop.time()
                        await self.collect()
                except (ApiError, StoreUnavailable) as error:
                    log.warning("the identity lease could not be renewed: %s", error)
                await asyncio.sleep(RENEW_EVERY)
        finally:
            with suppress(ApiError, StoreUnavailable):
                await self._release()

    async def renew(self) -> None:
        try:
            await self._writer.update(LEASE, NAMESPACE, self._name, self._renewed)
        except NotFound:
            with suppress(AlreadyExists):
                await self._writer.create(LEASE, self._renewed({"metadata": {"name": self._name, "namespace": NAMESPACE}}))

    def _renewed(self, lease: Object) -> Object:
        metadata = lease["metadata"]
        labels = {**(metadata.get("labels") or {}), IDENTITY: COMPONENT, HOST_NAME: self._host}
        annotations = {**(metadata.get("annotations") or {}), **({PEER_ADDRESS: self._address} if self._address else {})}
        spec = {"holderIdentity": self._holder, "leaseDurationSeconds": DURATION, "renewTime": format_micro_time(self._clock())}
        found = {**metadata, "labels": labels} | ({"annotations": annotations} if annotations else {})
        return {**lease, "metadata": found, "spec": {**(lease.get("spec") or {}), **spec}}

    async def collect(self) -> None:
        for lease in await self._writer.list(LEASE, NAMESPACE):
            metadata = lease["metadata"]
            if (metadata.get("labels") or {}).get(IDENTITY) == COMPONENT and expired(lease, self._clock()):
                with suppress(NotFound, Conflict):
                    await self._writer.delete(LEASE, NAMESPACE, metadata["name"], resource_version=metadata["resourceVersion"])

    async def _release(self) -> None:
        standing = await self._writer.get(LEASE, NAMESPACE, self._name)
        if (standing.get("spec") or {}).get("holderIdentity") == self._holder:
            await self._writer.delete(LEASE, NAMESPACE, self._name, uid=standing["metadata"]["uid"])
