"""An API server with TLS, authentication and RBAC as a cluster runs it, and kubectl against it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import aiohttp

from behaviour.apiserver_harness import started
from kubetree.apiserver.options.config import Config, TLSFiles
from kubetree.apiserver.server import ApiServer
from kubetree.cluster.certificates import ClusterCertificates, KeyPair
from programs import require
from storage_modes import new_place


@dataclass
class Secured:
    """Where there are several servers, kubectl asks them in turn; `server` is the first of them."""

    servers: list[ApiServer]
    certificates: ClusterCertificates
    directory: Path

    def __post_init__(self) -> None:
        self._turns = cycle(self.servers)

    @property
    def server(self) -> ApiServer:
        return self.servers[0]

    @property
    def url(self) -> str:
        """Of the server whose turn it is."""
        return next(self._turns).url

    def kubeconfig(self, name: str, credentials: KeyPair | str | None) -> Path:
        """`credentials`: a certificate, a token, or nothing."""
        user: dict[str, Any] = {}
        if isinstance(credentials, KeyPair):
            for field, data in (("client-certificate", credentials.certificate), ("client-key", credentials.key)):
                file = self.directory / f"{name}.{field}"
                file.write_bytes(data)
                user[field] = str(file)
        elif credentials is not None:
            user["token"] = credentials
        cluster = {"server": self.server.url, "certificate-authority": str(self.directory / "ca.crt")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path = self.directory / f"{name}.kubeconfig"
        path.write_text(json.dumps(config))
        return path

    async def kubectl(self, kubeconfig: Path, *args: str, stdin: str = "") -> tuple[int, str]:
        """Exit status and everything printed. Skips the test where there is no kubectl."""
        require("kubectl")
        cache = f"--cache-dir={self.directory}/cache-{kubeconfig.stem}"
        process = await asyncio.create_subprocess_exec(
            "kubectl",
            f"--kubeconfig={kubeconfig}",
            f"--server={self.url}",
            cache,
            *args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate(stdin.encode())
        return process.returncode or 0, output.decode()

    async def anonymously(self, path: str) -> tuple[int, Any]:
        """Status and JSON of a GET without credentials."""
        trusted = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        async with aiohttp.ClientSession() as session, session.get(self.url + path, ssl=trusted) as response:
            return response.status, await response.json()


@asynccontextmanager
async def secured_server(directory: Path, *, servers: int | None = None, **config: Any) -> AsyncIterator[Secured]:
    certificates = ClusterCertificates.create([], datetime.now(UTC))
    certificates.write(directory)
    tls = TLSFiles(directory / "apiserver.crt", directory / "apiserver.key", directory / "ca.crt")
    usual = {
        "tls": tls,
        "shutdown_grace": 0.1,
        "service_account_key_files": (directory / "sa.pub",),
        "service_account_signing_key_file": directory / "sa.key",
        "requestheader_client_ca": directory / "front-proxy-ca.crt",
        "enable_bootstrap_token_auth": True,
    }
    with new_place() as place:
        async with started(place, Config(**{**usual, **place.settings, **config}), servers) as running:
            yield Secured(running, certificates, directory)
