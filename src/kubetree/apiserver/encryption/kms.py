"""KMS v2: values are encrypted here, with keys derived from a seed; the seed is encrypted by a plugin behind a Unix socket.

Follows apiserver's storage/value/encrypt/envelope/kmsv2 and server/options/encryptionconfig. One seed serves all writes until the plugin
names another key; one that is already known costs no call. While the plugin is down reads of known seeds go on for ever, writes
for three minutes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from kubetree.api.times import format_time
from kubetree.api.validation.names import dns_subdomain
from kubetree.apiserver.encryption.aes import GCM, SEED_SIZE, DerivedGCM
from kubetree.apiserver.encryption.kms_messages import (
    AES_GCM_KEY,
    DERIVED_SEED,
    SERVICE,
    Encrypted,
    Envelope,
    Status,
    WireError,
    decode_encrypted,
    decode_envelope,
    decode_plaintext,
    decode_status,
    encode_decrypt,
    encode_encrypt,
    encode_envelope,
)
from kubetree.apiserver.encryption.transformers import KeyNeeded, Plain, Transformer, TransformError
from kubetree.grpc import Channel, RpcError

log = logging.getLogger(__name__)
GOOD_INTERVAL, BAD_INTERVAL = 60.0, 10.0
"""Seconds between two looks at a plugin that is well, and at one that is not."""
WRITES_WITHOUT_PLUGIN = 180.0
_GOOD_ANSWER, _BAD_ANSWER = 20.0, 3.0
_VERSIONS = ("v2", "v2beta1")
_LONGEST_KEY_ID = _LONGEST_SOURCE = 1024
_LARGEST_ANNOTATIONS = 32 * 1024


class Plugin(Protocol):
    """All three raise TransformError when the plugin does not answer well in time."""

    async def status(self) -> Status: ...

    async def encrypt(self, plaintext: bytes, uid: str) -> Encrypted: ...

    async def decrypt(self, key: Encrypted, uid: str) -> bytes: ...

    async def close(self) -> None: ...


class SocketPlugin:
    """The plugin behind `endpoint` (unix:///path, or unix:@name for an abstract socket). `timeout` in seconds."""

    def __init__(self, endpoint: str, timeout: float) -> None:
        self._timeout = timeout
        path = endpoint.removeprefix("unix://")
        abstract = path.lstrip("/")
        self._channel = Channel(f"unix-abstract:{abstract[1:]}" if abstract.startswith("@") else f"unix:{path}")

    async def status(self) -> Status:
        return decode_status(await self._call("Status", b""))

    async def encrypt(self, plaintext: bytes, uid: str) -> Encrypted:
        return decode_encrypted(await self._call("Encrypt", encode_encrypt(plaintext, uid)))

    async def decrypt(self, key: Encrypted, uid: str) -> bytes:
        return decode_plaintext(await self._call("Decrypt", encode_decrypt(key, uid)))

    async def close(self) -> None:
        await self._channel.close()

    async def _call(self, name: str, request: bytes) -> bytes:
        try:
            return await self._channel.unary(f"{SERVICE}{name}", request, timeout=self._timeout, wait_for_ready=True)
        except RpcError as error:
            raise TransformError(str(error)) from None


@dataclass(frozen=True, slots=True)
class _Writing:
    """What new values are encrypted with, until `expires` (seconds of the provider's clock)."""

    transformer: Transformer
    key: Encrypted
    expires: float


class KMSProvider:
    """One plugin as a Transformer. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        name: str,
        plugin: Plugin,
        clock: Callable[[], float],
        new_uid: Callable[[], str],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.name = name
        self._plugin, self._clock, self._new_uid, self._random = plugin, clock, new_uid, random
        self._writing: _Writing | None = None
        self._known: dict[bytes, Transformer] = {}
        self._version = ""
        self._checked, self._fault, self._again = 0.0, "not checked yet", 0.0
        self._checking = asyncio.Lock()
        self._fetching: dict[bytes, asyncio.Lock] = {}

    def encrypt(self, value: bytes, context: bytes) -> bytes:
        writing, now = self._current(), self._clock()
        if now > writing.expires:
            hashed, until, current = _hashed(writing.key.key_id), _shown(writing.expires), _shown(now)
            raise TransformError(f'encryptedDEKSource with keyID hash "{hashed}" expired at {until} (current time is {current})')
        return encode_envelope(Envelope(writing.transformer.encrypt(value, context), writing.key, DERIVED_SEED))

    def decrypt(self, data: bytes, context: bytes) -> Plain:
        try:
            envelope = decode_envelope(data)
        except (WireError, UnicodeDecodeError) as error:
            raise TransformError(f"proto: {error}") from None
        _check(envelope)
        writing = self._current()
        identity = _identity(envelope)
        transformer = self._known.get(identity)
        if transformer is None:
            raise KeyNeeded(lambda: self._fetch(identity, envelope))
        stale = envelope.key.key_id != writing.key.key_id or envelope.source != DERIVED_SEED
        return Plain(transformer.decrypt(envelope.data, context).value, stale)

    async def check(self) -> str:
        """What is wrong with the plugin, '' if nothing; asks it unless it was asked a moment ago, and takes up a new key."""
        async with self._checking:
            now = self._clock()
            if self._checked and now < self._again:
                return self._fault
            try:
                self._fault = ""
                await self._check_status()
            except TransformError as error:
                self._fault = str(error)
            self._checked, self._again = now, now + (_BAD_ANSWER if self._fault else _GOOD_ANSWER)
            return self._fault

    async def watch(self) -> None:
        """Keeps the key up to date until cancelled."""
        while True:
            fault = await self.check()
            if fault:
                log.error("KMS plugin %s failed its health check: %s", self.name, fault)
            await asyncio.sleep(BAD_INTERVAL if fault else GOOD_INTERVAL)

    async def close(self) -> None:
        await self._plugin.close()

    async def _check_status(self) -> None:
        try:
            status = await self._plugin.status()
        except TransformError as error:
            why = f"failed to perform status section of the healthz check for KMS Provider {self.name}, error: {error}"
            raise TransformError(why) from None
        faults = self._status_faults(status)
        try:
            _check_key_id(status.key_id)
        except TransformError as error:
            faults.append(f'got invalid KMSv2 KeyID hash "{_hashed(status.key_id)}": {error}')
        else:
            try:
                await self._take_up(status.key_id)
            except TransformError as error:
                faults.append(str(error))
        if faults:
            why = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
            raise TransformError(f"kmsv2 Provider {self.name} is not healthy, error: {why}")

    def _status_faults(self, status: Status) -> list[str]:
        faults = [f"got unexpected healthz status: {status.healthz}"] if status.healthz != "ok" else []
        if status.version not in _VERSIONS:
            return [*faults, f"expected KMSv2 API version v2, got {status.version}"]
        self._version = self._version or status.version
        if status.version != self._version:
            why = "KMSv2 API version should not change after the initial status response version"
            faults.append(f"{why} {self._version}, got {status.version}")
        return faults

    async def _take_up(self, key_id: str) -> None:
        """A new seed when the plugin names another key than the seed was encrypted with; else the old one lives on."""
        expires = self._clock() + WRITES_WITHOUT_PLUGIN
        if self._writing is not None and self._writing.key.key_id == key_id:
            self._writing = replace(self._writing, expires=expires)
            return
        seed = self._random(SEED_SIZE)
        try:
            key = await self._plugin.encrypt(seed, self._new_uid())
        except TransformError as error:
            raise TransformError(f"failed to encrypt DEK, error: {error}") from None
        envelope = Envelope(b"\0", key, DERIVED_SEED)
        _check(envelope)
        if key.key_id != key_id:
            hashes = f'statusKeyIDHash="{_hashed(key_id)}", encryptKeyIDHash="{_hashed(key.key_id)}"'
            raise TransformError(f"failed to rotate DEK: the plugin encrypts with another key than its status names, {hashes}")
        self._writing = _Writing(DerivedGCM(seed, self._random), key, expires)
        self._known[_identity(envelope)] = self._writing.transformer

    def _current(self) -> _Writing:
        if self._writing is None:
            raise TransformError("got unexpected nil transformer")
        return self._writing

    async def _fetch(self, identity: bytes, envelope: Envelope) -> None:
        """One call for a key, however many wait for it."""
        lock = self._fetching.setdefault(identity, asyncio.Lock())
        async with lock:
            if identity not in self._known:
                try:
                    plain = await self._plugin.decrypt(envelope.key, self._new_uid())
                except TransformError as error:
                    raise TransformError(f"failed to decrypt DEK, error: {error}") from None
                try:
                    self._known[identity] = DerivedGCM(plain) if envelope.source == DERIVED_SEED else GCM(plain)
                except ValueError as error:
                    raise TransformError(str(error)) from None
        self._fetching.pop(identity, None)


def _identity(envelope: Envelope) -> bytes:
    return encode_envelope(replace(envelope, data=b""))


def _check(envelope: Envelope) -> None:
    key = envelope.key
    if envelope.source not in (AES_GCM_KEY, DERIVED_SEED):
        raise TransformError(f"unknown encryptedDEKSourceType: {envelope.source}")
    if not envelope.data:
        raise TransformError("encrypted data is empty")
    if not key.ciphertext:
        raise TransformError("failed to validate encrypted DEK source: encrypted DEK source is empty")
    if len(key.ciphertext) > _LONGEST_SOURCE:
        why = f"encrypted DEK source is {len(key.ciphertext)} bytes, which exceeds the max size of {_LONGEST_SOURCE}"
        raise TransformError(f"failed to validate encrypted DEK source: {why}")
    try:
        _check_key_id(key.key_id)
    except TransformError as error:
        raise TransformError(f"failed to validate key id: {error}") from None
    for name in key.annotations:
        if dns_subdomain(name) or "." not in name:
            raise TransformError(f'failed to validate annotations: annotations: Invalid value: "{name}": should be a domain name')
    size = sum(len(name.encode()) + len(value) for name, value in key.annotations.items())
    if size > _LARGEST_ANNOTATIONS:
        why = f"total size of annotations is {size}, which exceeds the max size of {_LARGEST_ANNOTATIONS}"
        raise TransformError(f"failed to validate annotations: {why}")


def _check_key_id(key_id: str) -> None:
    if not key_id:
        raise TransformError("keyID is empty")
    if len(key_id.encode()) > _LONGEST_KEY_ID:
        raise TransformError(f"keyID is {len(key_id.encode())} bytes, which exceeds the max size of {_LONGEST_KEY_ID}")


def _hashed(key_id: str) -> str:
    return f"sha256:{hashlib.sha256(key_id.encode()).hexdigest()}" if key_id else ""


def _shown(seconds: float) -> str:
    return format_time(datetime.fromtimestamp(seconds, UTC))
