"""Who the API server says it is to the webhooks that objects configure: the users of a kubeconfig, chosen by a webhook's host.

Follows apiserver's util/webhook/authentication.go. Objects name whom to call, but never what to show: only the one who starts the
server decides that, in the file that --admission-control-config-file leads to.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from kubetree.apiserver.webhooks.destinations import Destination, clean
from kubetree.apiserver.webhooks.exec_plugin import ExecPlugin
from kubetree.apiserver.webhooks.tls import Trust
from kubetree.client.config import ConfigError, load_kubeconfig, read_kubeconfig, read_pem

Object = dict[str, Any]
_HTTPS = ":443"


@dataclass(frozen=True, slots=True)
class Shown:
    """`certificate` and `key` are PEM. See Destination for the others."""

    headers: dict[str, str] = field(default_factory=dict)
    token_file: str = ""
    certificate: bytes = b""
    key: bytes = b""
    repeated: tuple[tuple[str, str], ...] = ()
    plugin: ExecPlugin | None = None

    def to(self, destination: Destination) -> Destination:
        """The destination with this shown to it."""
        return replace(
            destination,
            trust=replace(destination.trust, certificate=self.certificate, key=self.key),
            headers={**destination.headers, **self.headers},
            token_file=self.token_file,
            repeated=self.repeated,
            plugin=self.plugin,
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """`users` by host and port, `*.` and the end of one, the same without port 443, or `*`; `usual` is for all others."""

    users: Mapping[str, Shown] = field(default_factory=dict)
    usual: Shown | None = None

    def to(self, destination: Destination) -> Destination:
        """The destination with what is shown to it."""
        if not self.users:
            return destination
        shown = self._of(destination.host_port)
        return shown.to(destination) if shown is not None else destination

    def _of(self, host_port: str) -> Shown | None:
        for name in _names(host_port):
            if name in self.users:
                return self.users[name]
        return self.usual


def _names(host_port: str) -> Iterator[str]:
    hosts = [host_port]
    if host_port.endswith(_HTTPS):
        hosts.append(host_port.removesuffix(_HTTPS).strip("[]"))
    for host in hosts:
        yield host
        steps = host.split(".")
        yield from ("*." + ".".join(steps[i:]) for i in range(1, len(steps)))
    yield "*"


def load_credentials(file: Path) -> Credentials:
    """Raises client.ConfigError for a file that cannot be used."""
    document = read_kubeconfig(file)
    users = {entry.get("name") or "": _shown(entry.get("user") or {}, file) for entry in document.get("users") or ()}
    contexts = {entry.get("name"): entry.get("context") or {} for entry in document.get("contexts") or ()}
    current = contexts.get(document.get("current-context") or None) or {}
    return Credentials(users, users.get(current.get("user") or ""))


def of_kubeconfig(path: Path) -> Destination:
    """Of the file that names an authentication, authorization, audit or image policy webhook. Raises client.ConfigError."""
    found, usual = load_kubeconfig(path), load_credentials(path).usual
    url = urlsplit(found.server)
    where = f"{url.scheme}://{url.netloc}{clean(url.path, quoted=True)}" + (f"?{url.query}" if url.query else "")
    destination = Destination(where, Trust(ca=found.ca or b"", insecure=found.insecure))
    return usual.to(destination) if usual is not None else destination


def _shown(user: Object, file: Path) -> Shown:
    headers: dict[str, str] = {}
    token, token_file = user.get("token") or "", user.get("tokenFile") or ""
    if token:
        token_file = ""
        headers["Authorization"] = f"Bearer {token}"
    elif token_file:
        token_file = str(file.parent / token_file)
    elif user.get("username") or user.get("password"):
        pair = f"{user.get('username') or ''}:{user.get('password') or ''}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    if user.get("auth-provider"):
        name = (user["auth-provider"] or {}).get("name")
        raise ConfigError(f'kubeconfig {file}: no Auth Provider found for name "{name}"')
    plugin = ExecPlugin(user["exec"], file) if user.get("exec") else None
    certificate, key = read_pem(user, "client-certificate", file), read_pem(user, "client-key", file)
    return Shown(headers, token_file, certificate or b"", key or b"", tuple(_impersonation(user)), plugin)


def _impersonation(user: Object) -> Iterator[tuple[str, str]]:
    if user.get("as"):
        yield "Impersonate-User", user["as"]
    if user.get("as-uid"):
        yield "Impersonate-Uid", user["as-uid"]
    yield from (("Impersonate-Group", group) for group in user.get("as-groups") or ())
    for key, values in (user.get("as-user-extra") or {}).items():
        yield from ((f"Impersonate-Extra-{quote(key, safe='')}", value) for value in values)
