"""Whom to call, read once from a configuration: a URL or a Service, the authority to believe and the credentials to show."""

from __future__ import annotations

import base64
import binascii
import posixpath
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from kubetree.apiserver.webhooks.tls import Trust
from kubetree.client.config import load_kubeconfig

Object = dict[str, Any]
_DEFAULT_PORT = 443


class ServiceReference(NamedTuple):
    """`port` is the Service's, not its pods'."""

    namespace: str
    name: str
    port: int


@dataclass(frozen=True, slots=True)
class Destination:
    """`url` is how messages name it; with a `service`, the host in it is the name that its certificate must have, and no more.
    `headers` carry credentials."""

    url: str
    trust: Trust
    service: ServiceReference | None = None
    headers: dict[str, str] = field(default_factory=dict)
    token_file: str = ""

    @property
    def server_name(self) -> str:
        """The host name without port."""
        return urlsplit(self.url).hostname or ""

    @property
    def host_port(self) -> str:
        url = urlsplit(self.url)
        return url.netloc if url.port is not None else f"{url.netloc}:{_DEFAULT_PORT}"


def of_client_config(config: Object) -> Destination:
    """Of admission's and conversion's WebhookClientConfig: `url` or `service` (namespace, name, path, port), and `caBundle`.

    Raises ValueError, in upstream's wording, for one that validation would not have let through.
    """
    trust = Trust(ca=_decoded(config.get("caBundle")))
    service = config.get("service")
    if service is not None:
        port = service.get("port") or _DEFAULT_PORT
        host = f"{service['name']}.{service['namespace']}.svc"
        where = ServiceReference(service["namespace"], service["name"], port)
        return Destination(f"https://{host}:{port}{_clean(service.get('path') or '')}", trust, where)
    if not config.get("url"):
        raise ValueError("webhook configuration must have either service or URL")
    url = urlsplit(config["url"])
    return Destination(f"{url.scheme}://{url.netloc}{_clean(url.path, quoted=True)}", trust)


def of_kubeconfig(path: Path) -> Destination:
    """Of the file that names an authentication, authorization, audit or image policy webhook. Raises client.ConfigError."""
    found = load_kubeconfig(path)
    trust = Trust(found.ca or b"", found.client_cert or b"", found.client_key or b"", found.insecure)
    headers = {"Authorization": f"Bearer {found.token}"} if found.token else {}
    url = urlsplit(found.server)
    where = f"{url.scheme}://{url.netloc}{_clean(url.path, quoted=True)}"
    return Destination(where + (f"?{url.query}" if url.query else ""), trust, None, headers, found.token_file)


def _clean(path: str, *, quoted: bool = False) -> str:
    """As client-go joins paths: one leading slash, none at the end."""
    cleaned = posixpath.normpath("/" + path.lstrip("/"))
    return cleaned if quoted else quote(cleaned)


def _decoded(bundle: str | None) -> bytes:
    try:
        return base64.b64decode(bundle or "")
    except binascii.Error:
        raise ValueError("unable to load root certificates: unable to parse bytes as PEM block") from None
