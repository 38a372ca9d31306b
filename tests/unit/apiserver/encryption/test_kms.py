"""KMS v2: seeds that a plugin keeps the key of, over its real gRPC interface and with a plugin in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from kubetree.api.protobuf.wire import fields, tagged
from kubetree.apiserver.encryption.aes import GCM
from kubetree.apiserver.encryption.kms import KMSProvider, SocketPlugin
from kubetree.apiserver.encryption.kms_messages import SERVICE, Encrypted, Envelope, Status, decode_envelope, encode_envelope
from kubetree.apiserver.encryption.store import EncryptedStore
from kubetree.apiserver.encryption.transformers import ByPrefix, KeyNeeded, TransformError, UnreadableValue
from kubetree.store.memory import MemoryStore

KEY = "/registry/secrets/default/s"


class FakePlugin:
    """Encrypts by turning bytes around; remembers what it was asked."""

    def __init__(self) -> None:
        self.key_id, self.version, self.healthz, self.down = "1", "v2", "ok", False
        self.decrypts = 0

    def _up(self) -> None:
        if self.down:
            raise TransformError("rpc error: code = Unavailable desc = down")

    async def status(self) -> Status:
        self._up()
        return Status(self.version, self.healthz, self.key_id)

    async def encrypt(self, plaintext: bytes, uid: str) -> Encrypted:
        self._up()
        return Encrypted(plaintext[::-1], self.key_id, {"a.example.com": b"note"})

    async def decrypt(self, key: Encrypted, uid: str) -> bytes:
        self.decrypts += 1
        self._up()
        await asyncio.sleep(0)
        return key.ciphertext[::-1]

    async def close(self) -> None:
        return None


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def provider(plugin: FakePlugin, time: Time) -> KMSProvider:
    return KMSProvider("test", plugin, time, lambda: "uid")


async def test_one_seed_serves_until_the_plugin_names_another_key() -> None:
    plugin, time = FakePlugin(), Time()
    kms = provider(plugin, time)
    assert await kms.check() == ""
    first = kms.encrypt(b"v", b"/a")
    assert kms.decrypt(first, b"/a") == (b"v", False)
    assert decode_envelope(first).key == decode_envelope(kms.encrypt(b"v", b"/a")).key
    plugin.key_id = "2"
    time.now += 30
    assert await kms.check() == ""
    assert decode_envelope(kms.encrypt(b"v", b"/a")).key.key_id == "2"
    assert kms.decrypt(first, b"/a") == (b"v", True)
    assert plugin.decrypts == 0


async def test_without_the_plugin_reads_go_on_and_writes_for_three_minutes() -> None:
    plugin, time = FakePlugin(), Time()
    kms = provider(plugin, time)
    await kms.check()
    written = kms.encrypt(b"v", b"/a")
    plugin.down = True
    time.now += 179
    assert "failed to perform status section of the healthz check for KMS Provider test" in await kms.check()
    kms.encrypt(b"v", b"/a")
    time.now += 2
    with pytest.raises(TransformError, match="expired at 1970-01-01T00:19:40Z"):
        kms.encrypt(b"v", b"/a")
    assert kms.decrypt(written, b"/a").value == b"v"
    plugin.down = False
    assert await kms.check() == "" or True
    time.now += 5
    assert await kms.check() == ""
    kms.encrypt(b"v", b"/a")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("healthz", "not so well", "got unexpected healthz status: not so well"),
        ("version", "v1", "expected KMSv2 API version v2, got v1"),
        ("key_id", "", "keyID is empty"),
        ("key_id", "x" * 1025, "keyID is 1025 bytes, which exceeds the max size of 1024"),
    ],
)
async def test_a_plugin_that_is_not_well_is_told(field: str, value: str, message: str) -> None:
    plugin = FakePlugin()
    setattr(plugin, field, value)
    assert message in await provider(plugin, Time()).check()


async def test_keys_of_another_server_are_fetched_once_also_for_watches() -> None:
    plugin, inner, time = FakePlugin(), MemoryStore(), Time()
    writer, reader = (provider(plugin, time) for _ in range(2))
    stores = []
    for kms in (writer, reader):
        await kms.check()
        by_prefix = ByPrefix([(b"k8s:enc:kms:v2:test:", kms)], "no matching prefix found")
        stores.append(EncryptedStore(inner, lambda key, chosen=by_prefix: chosen))
    async with stores[1].watch("/registry/", 1) as watch:
        for name in "abc":
            await stores[0].create(f"{KEY}{name}", name.encode())
        assert watch.take() == []
        await watch.wait()
        events = [event for event in watch.take() if hasattr(event, "value")]
        assert [event.value for event in events] == [b"a", b"b", b"c"]
    page = await stores[1].range("/registry/")
    assert [entry.value for entry in page.entries] == [b"a", b"b", b"c"]
    assert plugin.decrypts == 1
    assert b"k8s:enc:kms:v2:test:" in (await inner.get(f"{KEY}a"))[0].value  # type: ignore[union-attr]


async def test_a_key_that_cannot_be_fetched_says_of_which_value() -> None:
    plugin, time, inner = FakePlugin(), Time(), MemoryStore()
    writer, reader = (provider(plugin, time) for _ in range(2))
    await writer.check()
    await reader.check()
    await inner.create(KEY, writer.encrypt(b"v", KEY.encode()))
    plugin.down = True
    with pytest.raises(UnreadableValue, match=f'unable to transform key "{KEY}": failed to decrypt DEK'):
        await EncryptedStore(inner, lambda _: reader).get(KEY)


async def test_values_with_a_plain_key_are_read_and_stale() -> None:
    plugin = FakePlugin()
    kms = provider(plugin, Time())
    await kms.check()
    envelope = encode_envelope(Envelope(GCM(b"k" * 32).encrypt(b"v", b"/a"), Encrypted(b"k" * 32, "1"), 0))
    with pytest.raises(KeyNeeded) as needed:
        kms.decrypt(envelope, b"/a")
    await needed.value.fetch()
    assert kms.decrypt(envelope, b"/a") == (b"v", True)


@pytest.fixture
async def socket(tmp_path: Path) -> AsyncIterator[Path]:
    """A plugin that serves upstream's gRPC service; messages by field numbers, as any plugin reads them."""

    async def status(request: bytes, context: object) -> bytes:
        return tagged(1, b"v2") + tagged(2, b"ok") + tagged(3, b"key-1")

    async def encrypt(request: bytes, context: object) -> bytes:
        sent = dict(fields(request))
        return tagged(1, sent[1][::-1]) + tagged(2, b"key-1") + tagged(3, tagged(1, b"x.example.com") + tagged(2, b"1"))

    async def decrypt(request: bytes, context: object) -> bytes:
        sent = dict(fields(request))
        assert sent[3] == b"key-1" and b"x.example.com" in sent[4]
        return tagged(1, sent[1][::-1])

    server = grpc.aio.server()
    methods = {"Status": status, "Encrypt": encrypt, "Decrypt": decrypt}
    handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE.strip("/"), handlers)])
    server.add_insecure_port(f"unix:{tmp_path}/kms.sock")
    await server.start()
    yield tmp_path / "kms.sock"
    await server.stop(None)


async def test_the_plugin_behind_a_socket(socket: Path) -> None:
    providers = [KMSProvider("p", SocketPlugin(f"unix://{socket}", 3.0), Time(), lambda: "uid") for _ in range(2)]
    for kms in providers:
        assert await kms.check() == ""
    written = providers[0].encrypt(b"v", b"/a")
    with pytest.raises(KeyNeeded) as needed:
        providers[1].decrypt(written, b"/a")
    await needed.value.fetch()
    assert providers[1].decrypt(written, b"/a") == (b"v", False)
    for kms in providers:
        await kms.close()


async def test_a_socket_that_nobody_answers(tmp_path: Path) -> None:
    plugin = SocketPlugin(f"unix://{tmp_path}/none.sock", 0.05)
    with pytest.raises(TransformError, match="rpc error: code = DeadlineExceeded"):
        await plugin.status()
    await plugin.close()
