"""Whether another server's APIService can be used: its Service is there, has endpoints, and answers for the group and version.

Follows kube-aggregator's controllers/status/remote: order of the checks, reasons and wording.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from kubetree.api.errors import ApiError
from kubetree.api.kind_table import kind
from kubetree.apiserver.aggregation.remote import CHECKER, Remote, Transport, Unreachable, url_of
from kubetree.apiserver.lister import Lister

Object = dict[str, Any]
SERVICE, ENDPOINT_SLICE = kind("v1", "Service"), kind("discovery.k8s.io/v1", "EndpointSlice")
SERVICE_NAME = "kubernetes.io/service-name"
TIMEOUT, ATTEMPTS = 5.0, 5


class Verdict(NamedTuple):
    """The Available condition."""

    status: str
    reason: str
    message: str


PASSED = Verdict("True", "Passed", "all checks passed")
LOCAL = Verdict("True", "Local", "Local APIServices are always available")


async def check(remote: Remote, lister: Lister, transport: Transport) -> Verdict:
    """Whether another server can be used: what its objects say first, then a call."""
    namespace, name, _ = remote.service
    service = lister.get(SERVICE, namespace, name)
    slices = (s for s in lister.list(ENDPOINT_SLICE, namespace) if (s["metadata"].get("labels") or {}).get(SERVICE_NAME) == name)
    return check_service(remote, service, slices) or await check_discovery(remote, transport)


def check_service(remote: Remote, service: Object | None, slices: Iterable[Object]) -> Verdict | None:
    """None: nothing is wrong as far as the objects say."""
    namespace, name, port = remote.service
    if service is None:
        return Verdict("False", "ServiceNotFound", f'service/{name} in "{namespace}" is not present')
    spec = service["spec"]
    if (spec.get("type") or "ClusterIP") != "ClusterIP":
        return None
    declared = next((p for p in spec.get("ports") or () if p.get("port") == port), None)
    if declared is None:
        return Verdict("False", "ServicePortError", f'service/{name} in "{namespace}" is not listening on port {port}')
    found = list(slices)
    if not found:
        return Verdict("False", "EndpointsNotFound", f'cannot find endpointslices for service/{name} in "{namespace}"')
    port_name = declared.get("name") or ""
    if not any(_serves(piece, port_name) for piece in found):
        message = f'endpointslices for service/{name} in "{namespace}" have no addresses with port name "{port_name}"'
        return Verdict("False", "MissingEndpoints", message)
    return None


def _serves(piece: Object, port_name: str) -> bool:
    ready = any((e.get("conditions") or {}).get("ready") is not False for e in piece.get("endpoints") or ())
    return ready and any((p.get("name") or "") == port_name and p.get("port") is not None for p in piece.get("ports") or ())


async def check_discovery(remote: Remote, transport: Transport) -> Verdict:
    """Several tries, since each may meet another endpoint; one that succeeds is enough."""
    path = f"/apis/{remote.group}/{remote.version}" if remote.group else f"/api/{remote.version}"
    wrong = ""
    for _ in range(ATTEMPTS):
        try:
            url = url_of(transport.address(remote), path)
        except (ApiError, ValueError) as error:
            return Verdict("False", "FailedDiscoveryCheck", getattr(error, "message", "") or str(error))
        try:
            status, _, _ = await transport.fetch(remote, path, CHECKER, {}, TIMEOUT)
        except Unreachable as error:
            wrong = f"failing or missing response from {url}: {error}"
            if "deadline" in wrong:
                break
            continue
        if 200 <= status < 300:
            return PASSED
        wrong = f"failing or missing response from {url}: bad status from {url}: {status}"
    return Verdict("False", "FailedDiscoveryCheck", wrong)
