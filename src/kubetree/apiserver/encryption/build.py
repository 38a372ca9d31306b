"""From the configuration file to what each key's value goes through; taken up anew when the file changes."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kubetree.api.kinds import Kind
from kubetree.api.times import parse_duration
from kubetree.apiserver.encryption.aes import CBC, GCM
from kubetree.apiserver.encryption.configuration import DEFAULT_TIMEOUT, GroupResource, decoded_secret, group_resource, parse_encryption
from kubetree.apiserver.encryption.kms import KMSProvider, Plugin, SocketPlugin
from kubetree.apiserver.encryption.transformers import IDENTITY, ByPrefix, Transformer
from kubetree.apiserver.metrics.access import Reloads
from kubetree.apiserver.options.configuration_files import follow_file

log = logging.getLogger(__name__)
Object = dict[str, Any]
_EVERYTHING = ("*", "*")
_NEW_KEYS_TIMEOUT = 10.0
_GRACE = 10.0
"""Seconds that a replaced plugin is still kept for reads under way."""


def secret_box(key: bytes) -> Transformer:
    from kubetree.apiserver.encryption.secret_box import SecretBox  # libsodium, which only those load who use it

    return SecretBox(key)


_CIPHERS: dict[str, tuple[bytes, Callable[[bytes], Transformer]]] = {
    "aesgcm": (b"k8s:enc:aesgcm:v1:", GCM),
    "aescbc": (b"k8s:enc:aescbc:v1:", CBC),
    "secretbox": (b"k8s:enc:secretbox:v1:", secret_box),
}


class Providers:
    """What one version of the file says."""

    def __init__(self, entries: Iterable[Object], clock: Callable[[], float], new_uid: Callable[[], str], plugins: PluginOf) -> None:
        self.kms: list[KMSProvider] = []
        choices: dict[GroupResource, list[tuple[bytes, Transformer]]] = {}
        for entry in entries:
            made = [self._made(provider, clock, new_uid, plugins) for provider in entry["providers"]]
            for resource in entry["resources"]:
                choices.setdefault(group_resource(resource), []).extend(made)
        self._by_resource = {resource: ByPrefix(found, "no matching prefix found") for resource, found in choices.items()}
        self._watching: list[asyncio.Task[None]] = []

    def of(self, resource: str, group: str) -> Transformer:
        table = self._by_resource
        return table.get((resource, group)) or table.get(("*", group)) or table.get(_EVERYTHING) or IDENTITY

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """A plugin that does not answer yet is no reason to wait: it may start after this server."""
        for provider in self.kms:
            await provider.check()
            self._watching.append(tasks.create_task(provider.watch(), name=f"KMS plugin {provider.name}"))

    async def check(self) -> str:
        faults = [f"kms-provider-{i}: {fault}" for i, provider in enumerate(self.kms) if (fault := await provider.check())]
        return faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]" if faults else ""

    async def close(self) -> None:
        for task in self._watching:
            task.cancel()
        for provider in self.kms:
            await provider.close()

    def _made(
        self, provider: Object, clock: Callable[[], float], new_uid: Callable[[], str], plugins: PluginOf
    ) -> tuple[bytes, Transformer]:
        ((kind, config),) = provider.items()
        if kind == "identity":
            return b"", IDENTITY
        if kind == "kms":
            timeout = parse_duration(config.get("timeout") or DEFAULT_TIMEOUT)
            kms = KMSProvider(config["name"], plugins(config["endpoint"], timeout), clock, new_uid)
            self.kms.append(kms)
            return f"k8s:enc:kms:v2:{kms.name}:".encode(), kms
        prefix, cipher = _CIPHERS[kind]
        keys = [(f"{key['name']}:".encode(), cipher(decoded_secret(key))) for key in config["keys"]]
        name = "Secretbox" if kind == "secretbox" else "AES"
        return prefix, ByPrefix(keys, f"no matching key was found for the provided {name} transformer")


PluginOf = Callable[[str, float], Plugin]
"""From an endpoint and a timeout in seconds."""


class Encryption:
    """`transformer_of` for a store; the same object whatever the file says at the moment. `kinds` are the stored built-in ones."""

    def __init__(
        self,
        path: Path,
        kinds: Iterable[Kind],
        clock: Callable[[], float],
        new_uid: Callable[[], str],
        tasks: asyncio.TaskGroup,
        plugins: PluginOf = SocketPlugin,
    ) -> None:
        self._path, self._clock, self._new_uid, self._tasks, self._plugins = path, clock, new_uid, tasks, plugins
        self._resources = {kind.prefix: (kind.plural, kind.group) for kind in kinds if kind.stored and kind.group != "events.k8s.io"}
        self._text = path.read_bytes()
        self.reloads = Reloads("encryption", socket.gethostname(), self._text)
        self._providers = self._read(self._text)
        self._by_prefix: dict[str, Transformer] = {}
        self._following: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def uses_kms(self) -> bool:
        return bool(self._providers.kms)

    async def start(self, *, reload: bool) -> None:
        await self._providers.start(self._tasks)
        if reload:
            following = follow_file(self._path, self._text, self._reload, self.reloads.count)
            self._following = self._tasks.create_task(following, name="encryption configuration")

    async def check(self) -> str:
        """The health of all plugins: '' or what is wrong."""
        return await self._providers.check()

    async def close(self) -> None:
        for task in (self._following, *self._closing):
            if task is not None:
                task.cancel()
        await self._providers.close()

    def transformer_of(self, key: str) -> Transformer:
        """By the key's prefix: /registry/secrets/, /registry/services/specs/ or /registry/GROUP/PLURAL/."""
        second = key.find("/", len("/registry/")) + 1
        found = self._by_prefix.get(key[:second])
        if found is None:
            third = key.find("/", second) + 1 or len(key)
            found = self._by_prefix.get(key[:third]) or self._remember(key, second, third)
        return found

    def _remember(self, key: str, second: int, third: int) -> Transformer:
        for prefix in (key[:second], key[:third]):
            if prefix in self._resources:
                self._by_prefix[prefix] = found = self._providers.of(*self._resources[prefix])
                return found
        group, _, plural = key[len("/registry/") : third].strip("/").partition("/")
        found = self._providers.of(plural, group) if "." in group else self._providers.of(group, "")
        self._by_prefix[key[:third] if "." in group else key[:second]] = found
        return found

    def _read(self, text: bytes) -> Providers:
        try:
            return Providers(parse_encryption(text), self._clock, self._new_uid, self._plugins)
        except ValueError as error:
            raise ValueError(f"error while parsing encryption provider configuration file {self._path}: {error}") from error

    async def _reload(self, text: bytes) -> None:
        """Raises ValueError for what cannot be used, plugins that are not well included."""
        new = self._read(text)
        await new.start(self._tasks)
        try:
            await _until_well(new)
        except BaseException:
            await new.close()
            raise
        old, self._providers = self._providers, new
        self._by_prefix = {}
        closing = self._tasks.create_task(_close_later(old))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        log.info("encryption configuration %s taken up", self._path)


async def _until_well(providers: Providers) -> None:
    fault = ""
    try:
        async with asyncio.timeout(_NEW_KEYS_TIMEOUT):
            while fault := await providers.check():
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise ValueError(f"health check for new transformers failed: {fault}") from None


async def _close_later(providers: Providers) -> None:
    try:
        await asyncio.sleep(_GRACE)
    finally:
        await providers.close()
