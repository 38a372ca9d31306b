"""The DNS server's sockets: UDP and TCP. A question that was asked before is answered by copying bytes, without parsing it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Any

from dnslib import QTYPE, RCODE, DNSError, DNSRecord

from kubetree.network.dns.answers import Answered, Forward, Zone, answer, failure, rotations, truncated, udp_limit
from kubetree.network.dns.forward import Forwarder, NoAnswer, merged
from kubetree.network.dns.records import Cluster

log = logging.getLogger("kubetree.dns")

CACHE_SIZE = 20_000
TCP_IDLE = 10.0
MAX_PENDING = 1000
"""Queries under way to the host's resolvers; beyond that, clients are told to come again (SERVFAIL)."""

Owner = tuple[str, str]
Client = tuple[Any, ...]


class AnswerCache:
    """Packed answers by the packed question: all of a query but its id. Answers with several addresses take turns."""

    def __init__(self, size: int = CACHE_SIZE) -> None:
        self._size = size
        self._answers: dict[bytes, Sequence[bytes]] = {}
        self._by_owner: dict[Owner, set[bytes]] = {}
        self._turn = count()

    def get(self, query: bytes) -> bytes | None:
        answers = self._answers.get(query[2:])
        if answers is None:
            return None
        return query[:2] + (answers[0] if len(answers) == 1 else answers[next(self._turn) % len(answers)])

    def put(self, query: bytes, answers: Sequence[bytes], owners: Sequence[Owner]) -> None:
        if len(self._answers) >= self._size:
            self.clear()
        self._answers[query[2:]] = [a[2:] for a in answers]
        for owner in owners:
            self._by_owner.setdefault(owner, set()).add(query[2:])

    def forget(self, owner: Owner) -> None:
        """Drops what depends on a service."""
        for question in self._by_owner.pop(owner, ()):
            self._answers.pop(question, None)

    def clear(self) -> None:
        self._answers.clear()
        self._by_owner.clear()


class Server:
    """Answers queries; `open` gives it an address, several times if need be."""

    def __init__(self, cluster: Cluster, zone: Zone, forwarder: Forwarder) -> None:
        self._cluster, self._zone, self._forwarder = cluster, zone, forwarder
        self.udp_cache, self._tcp_cache = AnswerCache(), AnswerCache()
        self._pending: set[asyncio.Task[None]] = set()
        self._tasks: asyncio.TaskGroup | None = None

    def forget(self, owner: Owner) -> None:
        self.udp_cache.forget(owner)
        self._tcp_cache.forget(owner)

    def clear(self) -> None:
        self.udp_cache.clear()
        self._tcp_cache.clear()

    @contextlib.asynccontextmanager
    async def open(self, address: str, port: int = 53) -> AsyncIterator[int]:
        """Listens on UDP and TCP while the context lasts; gives the port. Raises OSError when it is taken."""
        async with contextlib.AsyncExitStack() as stack:
            tcp = await asyncio.start_server(self._serve_stream, address, port)
            stack.callback(tcp.close)
            port = tcp.sockets[0].getsockname()[1]
            loop = asyncio.get_running_loop()
            udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(address, port))
            stack.callback(udp.close)
            self._tasks = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(self._stop_forwarding)
            yield port

    def _stop_forwarding(self) -> None:
        for task in self._pending:
            task.cancel()

    def handle_packet(self, data: bytes, transport: asyncio.DatagramTransport, client: Client) -> None:
        """One UDP query: from the cache, or made now, or when a resolver has answered."""
        if (known := self.udp_cache.get(data)) is not None:
            transport.sendto(known, client)
            return
        query = _parse(data)
        if query is None:
            return
        outcome = self._answer(query)
        if isinstance(outcome, Answered):
            transport.sendto(self._pack_udp(data, query, outcome), client)
        elif self._tasks is None or len(self._pending) >= MAX_PENDING:
            transport.sendto(failure(query, RCODE.SERVFAIL).pack(), client)
        else:
            task = self._tasks.create_task(self._forward_packet(query, outcome, transport, client))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    def _answer(self, query: DNSRecord) -> Answered | Forward:
        if len(query.questions) == 1 and self._forwarder.sees(str(query.q.qname).rstrip(".").lower()):
            return Answered(failure(query, RCODE.SERVFAIL), lasting=False)
        return answer(query, self._cluster, self._zone)

    def _pack_udp(self, data: bytes, query: DNSRecord, outcome: Answered) -> bytes:
        limit = udp_limit(query)
        packed: list[bytes] = [reply.pack() for reply in rotations(outcome.message)]
        if len(packed[0]) > limit:
            packed = [truncated(outcome.message).pack()]
        if outcome.lasting:
            self.udp_cache.put(data, packed, outcome.owners)
        return packed[0]

    async def _forward_packet(self, query: DNSRecord, outcome: Forward, transport: asyncio.DatagramTransport, client: Client) -> None:
        reply = await self._forwarded(query, outcome)
        packed = reply.pack()
        transport.sendto(packed if len(packed) <= udp_limit(query) else truncated(reply).pack(), client)

    async def _forwarded(self, query: DNSRecord, outcome: Forward) -> DNSRecord:
        dnssec = any(record.rtype == QTYPE.OPT and record.ttl & 0x8000 for record in query.ar)
        try:
            return merged(query, outcome.aliases, await self._forwarder.ask(outcome.name, query.q.qtype, dnssec=dnssec))
        except (NoAnswer, DNSError, ValueError, UnicodeError):
            return failure(query, RCODE.SERVFAIL)

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Queries one after the other on one connection, until the client leaves or falls silent."""
        try:
            while True:
                async with asyncio.timeout(TCP_IDLE):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                async with asyncio.timeout(TCP_IDLE):
                    data = await reader.readexactly(length)
                packed = await self._stream_answer(data)
                if packed is None:
                    return
                writer.write(struct.pack("!H", len(packed)) + packed)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _stream_answer(self, data: bytes) -> bytes | None:
        if (known := self._tcp_cache.get(data)) is not None:
            return known
        query = _parse(data)
        if query is None:
            return None
        outcome = self._answer(query)
        if isinstance(outcome, Forward):
            forwarded: bytes = (await self._forwarded(query, outcome)).pack()
            return forwarded
        packed: list[bytes] = [reply.pack() for reply in rotations(outcome.message)]
        if outcome.lasting:
            self._tcp_cache.put(data, packed, outcome.owners)
        return packed[0]


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: Client) -> None:
        self._server.handle_packet(data, self._transport, addr)


def _parse(data: bytes) -> DNSRecord | None:
    """The query in a packet; None for answers and for what is no DNS: those get no answer, as a forged sender must not."""
    if len(data) < 12 or data[2] & 0x80:
        return None
    try:
        return DNSRecord.parse(data)
    except (DNSError, ValueError, IndexError, struct.error, UnicodeError):
        return None
