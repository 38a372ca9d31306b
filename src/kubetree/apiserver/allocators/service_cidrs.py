"""The ServiceCIDR `kubernetes`: --service-cluster-ip-range as an object. Follows upstream's defaultservicecidr controller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from kubetree.api.errors import AlreadyExists
from kubetree.api.times import format_time
from kubetree.apiserver.allocators.cluster_ips import SERVICE_CIDR
from kubetree.apiserver.registry import Writer

NAME = "kubernetes"
_MANAGER = "kubernetes-service-cidr-controller"

Object = dict[str, Any]


async def ensure_default_service_cidr(writer: Writer, cidrs: Sequence[str], clock: Callable[[], datetime]) -> None:
    """Creates it, makes it dual-stack when a second range was added, and says that it is ready."""
    wanted = {"apiVersion": SERVICE_CIDR.api_version, "kind": SERVICE_CIDR.kind, "metadata": {"name": NAME}, "spec": {"cidrs": list(cidrs)}}
    standing = {obj["metadata"]["name"]: obj for obj in await writer.list(SERVICE_CIDR)}.get(NAME)
    if standing is None:
        with suppress(AlreadyExists):
            await writer.create(SERVICE_CIDR, wanted)
    elif len(cidrs) == 2 and standing["spec"]["cidrs"] == [cidrs[0]]:
        await writer.update(SERVICE_CIDR, "", NAME, lambda obj: obj | {"spec": {"cidrs": list(cidrs)}})
    obj = await writer.get(SERVICE_CIDR, "", NAME)
    conditions = (obj.get("status") or {}).get("conditions") or []
    if (
        obj["spec"]["cidrs"] == list(cidrs)
        and "deletionTimestamp" not in obj["metadata"]
        and not any(c["type"] == "Ready" for c in conditions)
    ):
        await writer.apply(SERVICE_CIDR, "", NAME, {"status": {"conditions": [_ready(clock())]}}, _MANAGER, subresource="status")


def _ready(now: datetime) -> Object:
    return {
        "type": "Ready",
        "status": "True",
        "message": "Kubernetes default Service CIDR is ready",
        "lastTransitionTime": format_time(now),
    }
