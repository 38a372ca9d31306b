"""How the API server reaches a kubelet: address and port from the Node's status, TLS with the server's own client certificate."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

from kubetree.api import errors
from kubetree.apiserver.options.config import Config

Object = dict[str, Any]
_DEFAULT_PORT = 10250


@dataclass(frozen=True, slots=True)
class Kubelet:
    """Where a node's kubelet listens."""

    host: str
    port: int


def kubelet_of(node: Object, preferred: tuple[str, ...]) -> Kubelet:
    """Raises an error that names the node's addresses when none is of a preferred type."""
    status = node.get("status") or {}
    addresses = status.get("addresses") or []
    for wanted in preferred:
        for address in addresses:
            if address.get("type") == wanted and address.get("address"):
                port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or _DEFAULT_PORT
                return Kubelet(address["address"], port)
    known = " ".join(f"{{{a.get('type')} {a.get('address')}}}" for a in addresses)
    raise errors.ApiError(f"no preferred addresses found; known addresses: [{known}]", status_code=500, status_reason="")


def kubelet_tls(config: Config) -> ssl.SSLContext:
    """Presents the kubelet client certificate; verifies the kubelet's only where its authority is known, as upstream."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if config.kubelet_certificate_authority is not None:
        context.load_verify_locations(config.kubelet_certificate_authority)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.kubelet_client_certificate is not None and config.kubelet_client_key is not None:
        context.load_cert_chain(config.kubelet_client_certificate, config.kubelet_client_key)
    return context


def insecure_tls() -> ssl.SSLContext:
    """For pods and services, whose certificates the cluster knows nothing of."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
