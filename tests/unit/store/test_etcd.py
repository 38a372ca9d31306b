"""What only the etcd engine has to cope with: members that go away, TLS, leases, and other programs that compact."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from kubetree.apiserver.middleware.errors import as_api_error
from kubetree.grpc import TLS, Keepalive
from kubetree.store import open_store
from kubetree.store.etcd import EtcdStore, endpoints, follower
from kubetree.store.etcd import store as engine
from kubetree.store.etcd.endpoints import Endpoints
from kubetree.store.etcd.follower import stream
from kubetree.store.protocol import Compacted, Refused, StoreEvent, StoreUnavailable, Watch
from ports import free_port
from unit.store import etcd_server
from unit.store.etcd_server import EtcdCluster, EtcdServer

pytestmark = pytest.mark.skipif(not etcd_server.available(), reason="etcd is not installed")


@pytest.fixture
def server() -> Iterator[EtcdServer]:
    started = EtcdServer()
    try:
        started.start()
        yield started
    finally:
        started.remove()


@pytest.fixture
async def store(server: EtcdServer) -> AsyncIterator[EtcdStore]:
    connected = await EtcdStore.connect([server.address])
    yield connected
    await connected.close()


async def keys(watch: Watch, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        await asyncio.wait_for(watch.wait(), 15)
        found.extend(e.key for e in watch.take() if isinstance(e, StoreEvent))
    return found


async def create_until_it_works(store: EtcdStore, key: str) -> int:
    for _ in range(200):
        try:
            return (await store.create(key, b"")).revision
        except StoreUnavailable:
            await asyncio.sleep(0.05)
    raise AssertionError("etcd did not come back")


async def test_a_watch_goes_on_without_a_gap_when_etcd_was_away(server: EtcdServer, store: EtcdStore) -> None:
    async with store.watch("/", await store.revision()) as watch:
        await store.create("/before", b"")
        assert await keys(watch, 1) == ["/before"]
        server.kill()
        with pytest.raises(StoreUnavailable, match=server.address):
            await store.create("/away", b"")
        with pytest.raises(StoreUnavailable):
            await store.revision()
        server.start()
        await create_until_it_works(store, "/after")
        assert await keys(watch, 1) == ["/after"]


async def test_calls_and_watches_move_to_a_member_that_answers(server: EtcdServer) -> None:
    dead = f"127.0.0.1:{free_port()}"
    store = await open_store(f"etcd://{dead},{server.address}")
    assert (await store.create("/a", b"")).ok
    async with store.watch("/", 1) as watch:
        assert await keys(watch, 1) == ["/a"]
    await store.close()


async def test_members_die_in_turn_and_nothing_acknowledged_is_lost() -> None:
    """Members are killed and started again while writes go on; one watch must see every write, once and in order."""
    cluster = EtcdCluster()
    try:
        cluster.start()
        store = await EtcdStore.connect([m.address for m in cluster.members])
        told: dict[str, int] = {}
        stop = asyncio.Event()

        async def write(worker: int) -> None:
            n = 0
            while not stop.is_set():
                key, n = f"/w/{worker}/{n}", n + 1
                try:
                    told[key] = (await store.create(key, b"")).revision
                except StoreUnavailable:
                    await asyncio.sleep(0.02)

        async with store.watch("/w/", await store.revision()) as watch, asyncio.TaskGroup() as group:
            writers = [group.create_task(write(w)) for w in range(4)]
            for member in cluster.members[:2]:
                await asyncio.sleep(0.2)
                await asyncio.to_thread(member.kill)
                before = len(told)
                while len(told) < before + 20:
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(member.start)
            stop.set()
            await asyncio.gather(*writers)
            end = (await store.create("/w/end", b"")).revision
            seen: list[StoreEvent] = []
            while not seen or seen[-1].revision < end:
                await asyncio.wait_for(watch.wait(), 15)
                seen.extend(e for e in watch.take() if isinstance(e, StoreEvent))
        assert [e.revision for e in seen] == sorted({e.revision for e in seen})
        assert told.items() <= {e.key: e.revision for e in seen}.items()
        await store.close()
    finally:
        cluster.remove()


async def test_no_member_that_answers_is_told_by_address() -> None:
    dead = f"127.0.0.1:{free_port()}"
    with pytest.raises(StoreUnavailable, match=dead):
        await EtcdStore.connect([dead])
    with pytest.raises(ValueError, match="endpoint"):
        await EtcdStore.connect([])


async def test_a_watch_from_further_back_than_is_remembered(store: EtcdStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "RECENT", 2)
    first = (await store.create("/a/0", b"")).revision
    for n in range(1, 6):
        await store.create(f"/a/{n}", b"")
        await store.create(f"/b/{n}", b"")
    async with store.watch("/b/", await store.revision()) as sync:
        sync.request_progress(await store.revision())
        await asyncio.wait_for(sync.wait(), 30)
    async with store.watch("/a/", first) as watch:
        await store.create("/a/6", b"")
        assert await keys(watch, 6) == [f"/a/{n}" for n in range(1, 7)]


async def test_watches_from_before_this_process_share_one_stream(
    server: EtcdServer, store: EtcdStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await store.create("/a/0", b"")
    for n in range(1, 5):
        await store.create(f"/{'ab'[n % 2]}/{n}", b"")
    opened: list[int] = []

    def counted(endpoints: Endpoints, after: int) -> AsyncIterator[Sequence[StoreEvent]]:
        opened.append(after)
        return stream(endpoints, after)

    monkeypatch.setattr(follower, "stream", counted)
    late = await EtcdStore.connect([server.address])

    async def told(prefix: str) -> list[str]:
        async with late.watch(prefix, first.revision) as watch:
            await watch.wait()
            return [e.key for e in watch.take() if isinstance(e, StoreEvent)]

    try:
        assert await asyncio.gather(*map(told, ("/a/", "/b/", "/a/"))) == [["/a/2", "/a/4"], ["/b/1", "/b/3"], ["/a/2", "/a/4"]]
        assert opened.count(first.revision) == 1
    finally:
        await late.close()


async def test_compaction_while_it_was_away_breaks_the_watches(server: EtcdServer, store: EtcdStore) -> None:
    """Another API server wrote and compacted meanwhile: what happened cannot be told any more."""
    async with store.watch("/", await store.revision()) as watch:
        store._following.cancel()
        await asyncio.wait((store._following,))
        other = await EtcdStore.connect([server.address])
        created = await other.create("/a", b"")
        revision = created.revision
        for _ in range(5):
            revision = (await other.update("/a", b"", revision)).revision
        await other.compact(revision)
        await other.close()
        store._following = asyncio.create_task(store._follower.run())
        with pytest.raises(Compacted):
            await keys(watch, 1)
    async with store.watch("/", revision) as watch:
        await store.create("/b", b"")
        assert await keys(watch, 1) == ["/b"]


async def test_keys_with_one_time_to_live_share_a_lease(store: EtcdStore) -> None:
    leases = [await store._leases.lease(3600) for _ in range(3)]
    assert len(set(leases)) == 1
    assert await store._leases.lease(600) != leases[0]


async def test_writers_of_one_key_take_turns_and_losers_share_a_read(store: EtcdStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await store.create("/a", b"first")
    calls: list[str] = []
    call = store._endpoints.call

    async def counted(method: str, request: bytes, *, repeatable: bool) -> bytes:
        calls.append(method.rpartition("/")[2])
        return await call(method, request, repeatable=repeatable)

    monkeypatch.setattr(store._endpoints, "call", counted)
    written = await asyncio.gather(*(store.update("/a", b"%d" % n, first.revision) for n in range(8)))
    assert [w.ok for w in written] == [True] + [False] * 7
    assert calls == ["Txn", "Range"], "etcd need not be asked eight times whether the key has changed"
    assert {w.current for w in written[1:]} == {(await store.get("/a"))[0]}

    revision = written[0].revision
    deleted, updated, created = await asyncio.gather(
        store.delete("/a", revision), store.update("/a", b"", revision), store.create("/a", b"anew")
    )
    assert deleted.ok and deleted.current is not None and deleted.current.value == b"0"
    assert not updated.ok and updated.current is None
    assert not created.ok and created.current is None
    leader = asyncio.create_task(store.create("/a", b"never awaited"))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(store.create("/b", b"")), asyncio.create_task(store.create("/a", b""))]
    await asyncio.sleep(0)
    leader.cancel()
    assert (await asyncio.gather(*waiting))[0].ok
    assert not store._writing


async def test_many_counters_lose_no_step(store: EtcdStore, server: EtcdServer) -> None:
    """Two API servers, four writers each, one key."""
    other = await EtcdStore.connect([server.address])
    await store.create("/n", b"0")

    async def count(through: EtcdStore) -> None:
        entry, _ = await through.get("/n")
        for _ in range(20):
            while True:
                assert entry is not None
                written = await through.update("/n", b"%d" % (int(entry.value) + 1), entry.revision)
                if written.ok:
                    entry, _ = await through.get("/n")
                    break
                entry = written.current

    await asyncio.gather(*(count(through) for through in (store, other) for _ in range(4)))
    entry, _ = await store.get("/n")
    await other.close()
    assert entry is not None and entry.value == b"160"


async def test_what_is_too_large_is_refused_in_etcds_words(store: EtcdStore) -> None:
    assert (await store.create("/large", bytes(1_400_000))).ok
    with pytest.raises(Refused, match=r"^etcdserver: request is too large$") as caught:
        await store.create("/larger", bytes(1_700_000))
    answer = as_api_error(caught.value)
    assert answer is not None
    status = answer.to_status()
    assert (status["code"], status["message"], status.get("reason")) == (500, "etcdserver: request is too large", None)
    with pytest.raises(Refused, match=r"trying to send message larger than max \(25000\d\d vs. 2097152\)$"):
        await store.create("/largest", bytes(2_500_000))
    entry, _ = await store.get("/large")
    assert entry is not None and entry.value == bytes(1_400_000)


async def test_a_member_that_stands_still_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGSTOP: the kernel still takes its connections and bytes. Calls and the watch go on at another member."""
    monkeypatch.setattr(endpoints, "KEEPALIVE", Keepalive(urgent=0.2, idle=1, answer=0.5))
    cluster = EtcdCluster()
    try:
        cluster.start()
        store = await EtcdStore.connect([m.address for m in cluster.members])
        async with store.watch("/", await store.revision()) as watch:
            await create_until_it_works(store, "/before")
            assert await keys(watch, 1) == ["/before"]
            stopped = cluster.members[0]
            stopped.signal(signal.SIGSTOP)
            try:
                with pytest.raises(StoreUnavailable):
                    await asyncio.wait_for(store.create("/lost", b""), 30)
                await create_until_it_works(store, "/after")
                assert (await keys(watch, 1))[-1] == "/after"
            finally:
                stopped.signal(signal.SIGCONT)
        await store.close()
    finally:
        cluster.remove()


async def test_concurrent_reads_of_the_revision_share_calls() -> None:
    calls, go = 0, asyncio.Event()

    async def call() -> int:
        nonlocal calls
        calls += 1
        mine = calls
        await go.wait()
        return mine

    shared = engine._SharedCalls(call)
    first = asyncio.create_task(shared.result())
    await asyncio.sleep(0)
    late = [asyncio.create_task(shared.result()) for _ in range(50)]
    await asyncio.sleep(0)
    go.set()
    assert await first == 1
    assert [await task for task in late] == [2] * 50, "what was under way when they asked may be too old for them"
    either = engine._SharedCalls(call, any_will_do=True)
    go.clear()
    together = [asyncio.create_task(either.result()) for _ in range(5)]
    await asyncio.sleep(0)
    go.set()
    assert [await task for task in together] == [3] * 5


async def test_a_caller_that_goes_away_takes_nobody_along() -> None:
    async def call() -> int:
        await asyncio.sleep(0.01)
        return 7

    shared = engine._SharedCalls(call)
    leader = asyncio.create_task(shared.result())
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(shared.result()) for _ in range(3)]
    await asyncio.sleep(0)
    leader.cancel()
    waiting[0].cancel()
    assert await asyncio.gather(*waiting[1:]) == [7, 7]


async def test_tls_with_client_certificates(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    arguments = (
        f"--cert-file={tmp_path}/server.crt",
        f"--key-file={tmp_path}/server.key",
        f"--trusted-ca-file={tmp_path}/ca.crt",
        "--client-cert-auth",
    )
    server = EtcdServer(tls_arguments=arguments, scheme="https")
    try:
        server.start()
        store = await open_store(f"etcds://{server.address}?ca={tmp_path}/ca.crt&cert={tmp_path}/client.crt&key={tmp_path}/client.key")
        assert (await store.create("/a", b"")).ok
        await store.close()
        with pytest.raises(StoreUnavailable):
            await EtcdStore.connect([server.address], TLS(ca=tmp_path / "ca.crt"))
    finally:
        server.remove()


def make_certificates(directory: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca", "-days", "1")
    (directory / "san").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    for name in ("server", "client"):
        openssl("req", *ec, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san", "-days", "1")
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt")


async def test_a_url_with_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValueError, match="bogus"):
        await open_store("etcd://127.0.0.1:1?bogus=1")
