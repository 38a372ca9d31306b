"""Whom to call, read once from a configuration: a URL or a Service, the authority to believe and the credentials to show."""

from __future__ import annotations

import base64
import binascii
import posixpath
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from kubetree.apiserver.webhooks.exec_plugin import ExecPlugin
from kubetree.apiserver.webhooks.tls import Trust

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
    `headers` carry credentials, `repeated` those that come several times; a `token_file` is read anew for each call, and a `plugin`
    asked."""

    url: str
    trust: Trust
    service: ServiceReference | None = None
    headers: dict[str, str] = field(default_factory=dict)
    token_file: str = ""
    repeated: tuple[tuple[str, str], ...] = ()
    plugin: ExecPlugin | None = None

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
        return Destination(f"https://{host}:{port}{clean(service.get('path') or '')}", trust, where)
    if not config.get("url"):
        raise ValueError("webhook configuration must have either service or URL")
    url = urlsplit(config["url"])
    return Destination(f"{url.scheme}://{url.netloc}{clean(url.path, quoted=True)}", trust)


def clean(path: str, *, quoted: bool = False) -> str:
    """As client-go joins paths: one leading slash, none at the end."""
    cleaned = posixpath.normpath("/" + path.lstrip("/"))
    return cleaned if quoted else quote(cleaned)


def _decoded(bundle: str | None) -> bytes:
    try:
        return base64.b64decode(bundle or "")
    except binascii.Error:
        raise ValueError("unable to load root certificates: unable to parse bytes as PEM block") from None
