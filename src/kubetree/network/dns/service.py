"""The Service that makes this DNS the cluster's: kube-system/kube-dns, which people and tools look for.

The server answers on each node at the service's own address, so the Service has no endpoints and no proxy has to do with it: the
label that Kubernetes has for that says so. A kube-dns Service without it is somebody else's DNS, and the address theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.client import Client

log = logging.getLogger("kubetree.dns")
Object = dict[str, Any]

NAMESPACE, NAME = "kube-system", "kube-dns"
PROXY_LABEL, PROXY_NAME = "service.kubernetes.io/service-proxy-name", "kubetree-dns"
RETRY = 1.0


def dns_service(addresses: list[str]) -> Object:
    """The Service for DNS at `addresses`, the first of which is of the cluster's primary family. Pure."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": NAMESPACE,
            "name": NAME,
            "labels": {
                "k8s-app": "kube-dns",
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "KubetreeDNS",
                PROXY_LABEL: PROXY_NAME,
            },
        },
        "spec": {
            "clusterIP": addresses[0],
            "clusterIPs": addresses,
            "ipFamilyPolicy": "SingleStack" if len(addresses) == 1 else "RequireDualStack",
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
            ],
        },
    }


def is_ours(service: Object | None) -> bool:
    """Whether the addresses are ours to answer on: also while nobody has made the Service yet."""
    return service is None or (service["metadata"].get("labels") or {}).get(PROXY_LABEL) == PROXY_NAME


async def create_service(client: Client, addresses: list[str]) -> None:
    """Makes the Service unless there is one. Tries until the API server and the namespace are there."""
    row, reported = kind("v1", "Service"), ""
    while True:
        try:
            with contextlib.suppress(errors.NotFound):
                await client.get(row, NAME, NAMESPACE)
                return
            await client.create(row, dns_service(addresses))
            return
        except errors.AlreadyExists:
            return
        except errors.ApiError as error:
            if error.message != reported:
                reported = error.message
                log.warning("cannot create the service %s/%s yet: %s", NAMESPACE, NAME, error.message)
        await asyncio.sleep(RETRY)
