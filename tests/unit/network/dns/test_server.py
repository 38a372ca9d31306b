"""The server on loopback sockets: UDP, TCP, forwarding, and what happens when nobody answers."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from dnslib import EDNS0, QTYPE, RR, A, DNSError, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from kubetree.network.dns import forward
from kubetree.network.dns.answers import Zone
from kubetree.network.dns.forward import Forwarder, resolvers, ttl_offsets
from kubetree.network.dns.server import Server
from unit.network.dns.cluster import CLUSTER, HTTP, FixedCluster, service, slice_of


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Resolver(asyncio.DatagramProtocol):
    """A resolver on loopback: answers every A query with `address`, and counts."""

    def __init__(self, address: str = "192.0.2.7", ttl: int = 20, *, silent: bool = False) -> None:
        self.address, self.ttl, self.silent, self.count = address, ttl, silent, 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.count += 1
        if self.silent:
            return
        query = DNSRecord.parse(data)
        reply = query.reply()
        reply.add_answer(RR(query.q.qname, QTYPE.A, ttl=self.ttl, rdata=A(self.address)))
        self.transport.sendto(reply.pack(), addr)


@contextlib.asynccontextmanager
async def resolving(resolver: Resolver) -> AsyncIterator[tuple[str, int]]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: resolver, local_addr=("127.0.0.1", 0))
    yield transport.get_extra_info("sockname")
    transport.close()


class Asker(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answers.put_nowait(data)


@contextlib.asynccontextmanager
async def asking(server: Server) -> AsyncIterator[tuple[int, Callable[..., Any]]]:
    """The server's port, and a function that asks it by UDP."""
    async with server.open("127.0.0.1", 0) as port:
        transport, asker = await asyncio.get_running_loop().create_datagram_endpoint(Asker, remote_addr=("127.0.0.1", port))

        async def ask(name: str, kind: str = "A", *, size: int = 0) -> DNSRecord:
            query = DNSRecord.question(name, kind)
            if size:
                query.add_ar(EDNS0(udp_len=size))
            transport.sendto(query.pack())
            reply = DNSRecord.parse(await asyncio.wait_for(asker.answers.get(), 30))
            assert reply.header.id == query.header.id
            return reply

        yield port, ask
        transport.close()


async def test_the_second_answer_comes_from_the_cache_and_changes_with_the_service() -> None:
    cluster = FixedCluster(service("web", clusterIP="10.96.0.20", ports=[HTTP]))
    server = Server(cluster, Zone(), Forwarder([], Clock()))
    name = "web.default.svc.cluster.local"
    async with asking(server) as (_, ask):
        assert str((await ask(name)).rr[0].rdata) == "10.96.0.20"
        cluster.objects[:] = [service("web", clusterIP="10.96.0.21", ports=[HTTP])]
        assert str((await ask(name)).rr[0].rdata) == "10.96.0.20", "kept"
        server.forget(("default", "web"))
        assert str((await ask(name)).rr[0].rdata) == "10.96.0.21"
        assert (await ask("new.default.svc.cluster.local")).header.rcode == 3
        cluster.objects.append(service("new", clusterIP="10.96.0.22", ports=[HTTP]))
        server.forget(("default", "new"))
        assert str((await ask("new.default.svc.cluster.local")).rr[0].rdata) == "10.96.0.22", "a name that was not there is not kept"


async def test_a_long_answer_is_cut_by_udp_and_whole_by_tcp() -> None:
    many = [{"addresses": [f"10.244.1.{i}"]} for i in range(100)]
    cluster = FixedCluster(service("db", clusterIP="None", ports=[HTTP]), slice_of("db", *many))
    name = "db.default.svc.cluster.local"
    async with asking(Server(cluster, Zone(), Forwarder([], Clock()))) as (port, ask):
        assert (await ask(name)).header.tc == 1
        assert (await ask(name, size=4096)).header.tc == 1, "beyond 1232 bytes, whatever the client offers"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            query = DNSRecord.question(name).pack()
            writer.write(struct.pack("!H", len(query)) + query)
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            assert len(DNSRecord.parse(await reader.readexactly(length)).rr) == 100
        writer.close()


async def test_edns_lets_larger_answers_through() -> None:
    some = [{"addresses": [f"10.244.1.{i}"]} for i in range(40)]
    cluster = FixedCluster(service("db", clusterIP="None", ports=[HTTP]), slice_of("db", *some))
    async with asking(Server(cluster, Zone(), Forwarder([], Clock()))) as (_, ask):
        assert (await ask("db.default.svc.cluster.local")).header.tc == 1
        assert len((await ask("db.default.svc.cluster.local", size=1232)).rr) == 40


async def test_names_outside_are_asked_once_and_kept_with_less_and_less_ttl() -> None:
    clock, resolver = Clock(), Resolver(ttl=20)
    async with resolving(resolver) as address, asking(Server(CLUSTER, Zone(), Forwarder([address], clock))) as (_, ask):
        first = await ask("www.example.com")
        assert (str(first.rr[0].rdata), first.header.aa) == ("192.0.2.7", 0)
        clock.now += 8
        assert (await ask("www.example.com")).rr[0].ttl == 12
        assert resolver.count == 1
        clock.now += 13
        await ask("www.example.com")
        assert resolver.count == 2
        external = await ask("outside.default.svc.cluster.local")
        assert [str(rr.rdata) for rr in external.rr] == ["www.example.com.", "192.0.2.7"]


async def test_the_next_resolver_is_asked_when_one_is_silent_and_silence_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "TIMEOUT", 0.05)
    silent, good = Resolver(silent=True), Resolver()
    async with resolving(silent) as first, resolving(good) as second:
        async with asking(Server(CLUSTER, Zone(), Forwarder([first, second], Clock()))) as (_, ask):
            assert (await ask("a.example.com")).header.rcode == 0
            assert (await ask("b.example.com")).header.rcode == 0
            assert (silent.count, good.count) == (1, 2)


async def test_without_a_resolver_that_answers_the_client_hears_servfail() -> None:
    async with asking(Server(CLUSTER, Zone(), Forwarder([], Clock()))) as (_, ask):
        assert (await ask("www.example.com")).header.rcode == 2
        assert (await ask("web.default.svc.cluster.local")).header.rcode == 0


async def test_a_resolver_that_leads_back_here_is_found_and_dropped() -> None:
    forwarder = Forwarder([], Clock())
    async with asking(Server(CLUSTER, Zone(), forwarder)) as (port, _):
        forwarder.servers.append(("127.0.0.1", port))
        await forwarder.find_loops()
        assert forwarder.servers == []


async def test_rubbish_gets_no_answer_and_does_no_harm() -> None:
    async with asking(Server(CLUSTER, Zone(), Forwarder([], Clock()))) as (port, ask):
        transport, asker = await asyncio.get_running_loop().create_datagram_endpoint(Asker, remote_addr=("127.0.0.1", port))
        reply = DNSRecord.question("web.default.svc.cluster.local").reply().pack()
        for rubbish in (b"", b"x", b"\0" * 11, b"\xff" * 40, reply, bytes(range(256))):
            transport.sendto(rubbish)
        assert (await ask("web.default.svc.cluster.local")).header.rcode == 0
        assert asker.answers.empty()
        transport.close()


def test_resolv_conf() -> None:
    text = "# by hand\nnameserver 192.0.2.53\nnameserver 10.96.0.10\nsearch example.com\nnameserver fe80::1%eth0\nnameserver nonsense\nnameserver\n"
    assert resolvers(text, own=["10.96.0.10"]) == [("192.0.2.53", 53), ("fe80::1%eth0", 53)]


def test_ttls_are_found_behind_compressed_names() -> None:
    reply = DNSRecord.question("a.example.com").reply()
    for n in (5, 6):
        reply.add_answer(RR("a.example.com", QTYPE.A, ttl=n, rdata=A("192.0.2.1")))
    packed = reply.pack()
    assert [struct.unpack_from("!I", packed, offset)[0] for offset in ttl_offsets(packed)] == [5, 6]
    with pytest.raises(ValueError, match="cut off"):
        ttl_offsets(packed[:-9])


class Wire:
    """A transport that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendto(self, data: bytes, client: Any) -> None:
        self.sent.append(data)


@given(st.binary(max_size=80))
def test_no_bytes_whatever_bring_the_server_down(data: bytes) -> None:
    server, wire = Server(CLUSTER, Zone(), Forwarder([], Clock())), Wire()
    for packet in (data, b"\1\2\1\0\0\1\0\0\0\0\0\0" + data):
        server.handle_packet(packet, wire, ("192.0.2.1", 1))  # type: ignore[arg-type]
    for answer in wire.sent:
        assert DNSRecord.parse(answer).header.qr == 1


@given(st.lists(st.text("ab-_.*1\u00e9", min_size=1, max_size=70), max_size=5), st.sampled_from(list(QTYPE.forward)))
def test_every_name_gets_an_answer_below_the_domain(labels: list[str], kind: int) -> None:
    try:
        packet = bytes(DNSRecord.question(".".join([*labels, "default.svc.cluster.local"]), QTYPE[kind]).pack())
    except (DNSError, ValueError):
        return
    server, wire = Server(CLUSTER, Zone(), Forwarder([], Clock())), Wire()
    server.handle_packet(packet, wire, ("192.0.2.1", 1))  # type: ignore[arg-type]
    assert len(wire.sent) == 1
    assert wire.sent[0][:2] == packet[:2]
