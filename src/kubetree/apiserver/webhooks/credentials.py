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
from urllib.parse import quote

from kubetree.apiserver.webhooks.destinations import Destination
from kubetree.client.config import ConfigError, read_kubeconfig, read_pem

Object = dict[str, Any]
_HTTPS = ":443"


@dataclass(frozen=True, slots=True)
class Shown:
    """`certificate` and `key` are PEM. A `token_file` is read anew for each call."""

    headers: dict[str, str] = field(default_factory=dict)
    token_file: str = ""
    certificate: bytes = b""
    key: bytes = b""


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
        if shown is None:
            return destination
        trust = replace(destination.trust, certificate=shown.certificate, key=shown.key)
        return replace(destination, trust=trust, headers={**destination.headers, **shown.headers}, token_file=shown.token_file)

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


def _shown(user: Object, file: Path) -> Shown:
    headers = dict(_impersonation(user))
    token, token_file = user.get("token") or "", user.get("tokenFile") or ""
    if token:
        token_file = ""
        headers["Authorization"] = f"Bearer {token}"
    elif token_file:
        token_file = str(file.parent / token_file)
    elif user.get("username") or user.get("password"):
        pair = f"{user.get('username') or ''}:{user.get('password') or ''}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    if user.get("exec") or user.get("auth-provider"):
        raise ConfigError(f"kubeconfig {file}: users that need a program to authenticate cannot be used for webhooks")
    certificate, key = read_pem(user, "client-certificate", file), read_pem(user, "client-key", file)
    return Shown(headers, token_file, certificate or b"", key or b"")


def _impersonation(user: Object) -> Iterator[tuple[str, str]]:
    """One header a name: of several groups or values, aiohttp's mapping would keep the last, so they are refused."""
    if user.get("as"):
        yield "Impersonate-User", user["as"]
    if user.get("as-uid"):
        yield "Impersonate-Uid", user["as-uid"]
    values = {"Impersonate-Group": user.get("as-groups") or ()}
    values |= {f"Impersonate-Extra-{quote(key, safe='')}": given for key, given in (user.get("as-user-extra") or {}).items()}
    for header, given in values.items():
        if len(given) > 1:
            raise ConfigError(f"{header} can have one value only")
        yield from ((header, value) for value in given)
