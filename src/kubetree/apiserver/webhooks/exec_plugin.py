"""Credentials that a program gives: the `exec` of a kubeconfig's user. Asked when they are first needed, and again once they expire.

Follows client-go's plugin/pkg/client/auth/exec.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from kubetree.api.times import parse_time
from kubetree.client.config import ConfigError

Object = dict[str, Any]
_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_LONGEST = 60.0
"""Seconds that a program may take."""


class PluginFailed(Exception):
    """There are no credentials, and why."""


@dataclass(frozen=True, slots=True)
class Issued:
    """`certificate` and `key` are PEM."""

    token: str = ""
    certificate: bytes = b""
    key: bytes = b""


def _now() -> datetime:
    return datetime.now(UTC)


class ExecPlugin:
    """`spec` is the `exec` of a user in the kubeconfig `file`, beside which a relative path of a command is looked for. Raises
    ConfigError."""

    def __init__(self, spec: Object, file: Path, clock: Callable[[], datetime] = _now, environment: Mapping[str, str] = os.environ) -> None:
        self._version: str = spec.get("apiVersion") or ""
        if self._version not in _VERSIONS:
            raise ConfigError(f'kubeconfig {file}: exec plugin: invalid apiVersion "{self._version}"')
        command: str = spec.get("command") or ""
        if not command:
            raise ConfigError(f"kubeconfig {file}: exec plugin: no command")
        if spec.get("interactiveMode") == "Always":
            raise ConfigError(f"kubeconfig {file}: exec plugin cannot support interactive mode: standard input is not a terminal")
        self._command = str(file.parent / command) if "/" in command and not command.startswith("/") else command
        self._arguments = [str(argument) for argument in spec.get("args") or ()]
        self._hint: str = spec.get("installHint") or ""
        asked = {"kind": "ExecCredential", "apiVersion": self._version, "spec": {"interactive": False}}
        self._environment = dict(environment)
        self._environment |= {entry["name"]: entry.get("value") or "" for entry in spec.get("env") or ()}
        self._environment["KUBERNETES_EXEC_INFO"] = orjson.dumps(asked).decode()
        self._clock, self._turn = clock, asyncio.Lock()
        self._issued: Issued | None = None
        self._until: datetime | None = None

    async def credentials(self) -> Issued:
        """Raises PluginFailed."""
        async with self._turn:
            if self._issued is None or (self._until is not None and self._clock() > self._until):
                self._issued, self._until = self._read(await self._run())
            return self._issued

    def forget(self, issued: Issued) -> None:
        """They were not accepted: the program is asked again at the next call."""
        if issued is self._issued:
            self._issued = None

    async def _run(self) -> bytes:
        try:
            process = await asyncio.create_subprocess_exec(
                self._command, *self._arguments, env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
            )
        except OSError as error:
            hint = f"\n\n{self._hint}" if self._hint else ""
            raise PluginFailed(f"getting credentials: exec: executable {self._command} not found: {error.strerror}{hint}") from None
        try:
            async with asyncio.timeout(_LONGEST):
                out, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            raise PluginFailed(f"getting credentials: exec: executable {self._command} took longer than {_LONGEST:g} s") from None
        if process.returncode:
            raise PluginFailed(f"getting credentials: exec: executable {self._command} failed with exit code {process.returncode}")
        return out

    def _read(self, out: bytes) -> tuple[Issued, datetime | None]:
        try:
            found = orjson.loads(out)
            version, status = found.get("apiVersion"), found.get("status")
        except (orjson.JSONDecodeError, AttributeError) as error:
            raise PluginFailed(f"getting credentials: decoding stdout: {error}") from None
        if version != self._version:
            told = f"exec plugin is configured to use API version {self._version}, plugin returned version {version}"
            raise PluginFailed(f"getting credentials: {told}")
        if status is None:
            raise PluginFailed("getting credentials: exec plugin didn't return a status field")
        token, certificate, key = (status.get(name) or "" for name in ("token", "clientCertificateData", "clientKeyData"))
        if not (token or certificate or key):
            raise PluginFailed("getting credentials: exec plugin didn't return a token or cert/key pair")
        if bool(certificate) != bool(key):
            raise PluginFailed("getting credentials: exec plugin returned only certificate or key, not both")
        until = status.get("expirationTimestamp")
        return Issued(token, certificate.encode(), key.encode()), parse_time(until) if until else None
