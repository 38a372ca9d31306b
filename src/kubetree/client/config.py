"""Where the API server is and who we are: kubeconfig files and the in-cluster service account, as client-go reads them."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigError(Exception):
    """A kubeconfig that cannot be used. The message says which file and which entry."""


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """A server and credentials. `server` is a URL; `unix:///path` a plain socket of a server in the same process. `ca`, `client_cert` and `client_key` are PEM bytes; a `token_file` is read anew as it rotates."""

    server: str
    ca: bytes | None = None
    client_cert: bytes | None = None
    client_key: bytes | None = None
    token: str = ""
    token_file: str = ""
    insecure: bool = False
    user_agent: str = "kubetree"
    impersonate: str = ""
    namespace: str = "default"

    @property
    def socket(self) -> str:
        """The path of a Unix socket; "" for a server that is reached by its address."""
        return self.server.removeprefix("unix://") if self.server.startswith("unix://") else ""

    @property
    def base_url(self) -> str:
        """What the paths of requests follow."""
        return "http://localhost" if self.socket else self.server

    def ssl_context(self) -> ssl.SSLContext | None:
        """What TLS needs, or None for a plain http server."""
        if not self.server.startswith("https://"):
            return None
        context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_cert and self.client_key:
            load_key_pair(context, self.client_cert, self.client_key)
        return context


def load_key_pair(context: ssl.SSLContext, cert: bytes, key: bytes) -> None:
    """The ssl module takes key pairs from files only: one of mode 0600 that lives as long as the call."""
    with tempfile.NamedTemporaryFile(prefix="kubetree-") as file:
        file.write(cert.rstrip() + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)


def load_kubeconfig(path: str | Path = "", context: str = "", user_agent: str = "kubetree") -> ClientConfig:
    """The current context of a kubeconfig, or the one named. Without a path: $KUBECONFIG, then ~/.kube/config.

    Raises ConfigError when the file or an entry it names is missing.
    """
    file = Path(path or os.environ.get("KUBECONFIG", "").split(":")[0] or Path.home() / ".kube" / "config")
    document = read_kubeconfig(file)
    chosen = _entry(document, "contexts", "context", context or document.get("current-context", ""), file)
    cluster = _entry(document, "clusters", "cluster", chosen.get("cluster", ""), file)
    user = _entry(document, "users", "user", chosen["user"], file) if chosen.get("user") else {}
    return ClientConfig(
        server=cluster["server"].rstrip("/"),
        ca=read_pem(cluster, "certificate-authority", file),
        client_cert=read_pem(user, "client-certificate", file),
        client_key=read_pem(user, "client-key", file),
        token=user.get("token", ""),
        token_file=user.get("tokenFile", ""),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        user_agent=user_agent,
        impersonate=user.get("as", ""),
        namespace=chosen.get("namespace", "") or "default",
    )


def read_kubeconfig(file: Path) -> dict[str, Any]:
    """All that a kubeconfig says. Raises ConfigError."""
    try:
        document: dict[str, Any] = yaml.safe_load(file.read_text()) or {}
    except OSError as error:
        raise ConfigError(f"kubeconfig {file}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"kubeconfig {file} is not YAML: {error}") from error
    return document


def in_cluster_config(user_agent: str = "kubetree") -> ClientConfig:
    """The configuration of a pod: its service account's token and the KUBERNETES_SERVICE_* variables."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise ConfigError("not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be set")
    address = f"[{host}]" if ":" in host else host
    return ClientConfig(
        server=f"https://{address}:{port}",
        ca=(SERVICE_ACCOUNT_DIR / "ca.crt").read_bytes(),
        token_file=str(SERVICE_ACCOUNT_DIR / "token"),
        user_agent=user_agent,
    )


def _entry(document: dict[str, Any], section: str, field: str, name: str, file: Path) -> dict[str, Any]:
    for entry in document.get(section) or ():
        if entry.get("name") == name:
            found: dict[str, Any] = entry.get(field) or {}
            return found
    raise ConfigError(f'kubeconfig {file}: {section} has no entry named "{name}"')


def read_pem(entry: dict[str, Any], field: str, file: Path) -> bytes | None:
    """The PEM of `field` (a path, relative to the kubeconfig) or `field`-data (base64); data wins, as in client-go."""
    if data := entry.get(f"{field}-data"):
        return base64.b64decode(data)
    if name := entry.get(field):
        try:
            return (file.parent / str(name)).read_bytes()
        except OSError as error:
            raise ConfigError(f"kubeconfig {file}: {field} {name}: {error.strerror}") from error
    return None
