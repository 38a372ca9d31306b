"""Names outside the cluster: asked of the host's resolvers, remembered for a while, answered SERVFAIL quickly when nobody answers.

A resolver that does not answer is left alone for a moment, so that a machine without a network does not make every lookup wait.
A resolver that leads back to this server is found by a name that only we know, and never asked again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from dnslib import QTYPE, DNSRecord

log = logging.getLogger("kubetree.dns")

TIMEOUT = 1.0
"""Seconds that a resolver has for its answer."""
REST_AFTER_FAILURE = 2.0
MAX_TTL = 30
"""Seconds that an answer is kept at most, as in kubeadm's CoreDNS configuration."""
NEGATIVE_TTL = 5
CACHE_SIZE = 10_000
_TRUNCATED = 0x0200
_LOOP_SUFFIX = ".kubetree-loop-probe"

Key = tuple[str, int, bool]
Address = tuple[str, int]


class NoAnswer(Exception):
    """No resolver answered in time."""


def resolvers(text: str, own: Sequence[str] = ()) -> list[Address]:
    """The nameservers of a resolv.conf but our `own` addresses. Pure."""
    found = []
    for line in text.splitlines():
        match line.split():
            case ["nameserver", address, *_]:
                bare = address.split("%")[0]
                try:
                    ipaddress.ip_address(bare)
                except ValueError:
                    continue
                if bare not in own:
                    found.append((address, 53))
    return found


def read_resolvers(path: str, own: Sequence[str]) -> list[Address]:
    """The resolvers of a resolv.conf that may be missing: then none."""
    try:
        return resolvers(Path(path).read_text(), own)
    except OSError as error:
        log.warning("%s: %s; names outside the cluster will not be found", path, error.strerror)
        return []


class Forwarder:
    """Asks `servers` in their order. `clock` gives seconds that only grow."""

    def __init__(self, servers: Sequence[Address], clock: Callable[[], float]) -> None:
        self.servers = list(servers)
        self._clock = clock
        self._resting: dict[Address, float] = {}
        self._cache: OrderedDict[Key, tuple[float, bytes, list[int]]] = OrderedDict()
        self._asking: dict[Key, asyncio.Future[bytes]] = {}
        self._probe = secrets.token_hex(8) + _LOOP_SUFFIX
        self._probed: Address | None = None

    async def ask(self, name: str, qtype: int, *, dnssec: bool = False) -> bytes:
        """The answer's bytes, with an id of their own. Raises NoAnswer. Callers with the same question share one query."""
        key = (name, qtype, dnssec)
        if (kept := self._kept(key)) is not None:
            return kept
        if (asking := self._asking.get(key)) is not None:
            return await asyncio.shield(asking)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda f: f.cancelled() or f.exception())
        self._asking[key] = future
        try:
            answer = await self._ask_all(_query(name, qtype, dnssec))
            self._keep(key, answer)
            future.set_result(answer)
            return answer
        except BaseException as error:
            future.set_exception(error if isinstance(error, NoAnswer) else NoAnswer(str(error)))
            raise
        finally:
            del self._asking[key]

    def sees(self, name: str) -> bool:
        """Told of every name that clients ask for: True when it is our own probe coming back."""
        if name != self._probe or self._probed is None:
            return False
        if self._probed in self.servers:
            log.error("resolver %s leads back to the cluster's DNS and is not used; name another one with --resolv-conf", self._probed[0])
            self.servers.remove(self._probed)
        return True

    async def find_loops(self) -> None:
        """Asks each resolver for a name that only we know; `sees` is called when it comes back to us."""
        for server in list(self.servers):
            self._probed = server
            try:
                async with asyncio.timeout(TIMEOUT):
                    await _exchange_udp(server, _query(self._probe, QTYPE.HINFO, False))
            except (OSError, TimeoutError):
                continue
        self._probed = None

    async def _ask_all(self, query: bytes) -> bytes:
        now = self._clock()
        for server in [s for s in self.servers if self._resting.get(s, 0.0) <= now]:
            try:
                async with asyncio.timeout(TIMEOUT):
                    answer = await _exchange_udp(server, query)
                if struct.unpack_from("!H", answer, 2)[0] & _TRUNCATED:
                    async with asyncio.timeout(TIMEOUT):
                        answer = await _exchange_tcp(server, query)
                return answer
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                self._resting[server] = self._clock() + REST_AFTER_FAILURE
        raise NoAnswer("no resolver answered")

    def _kept(self, key: Key) -> bytes | None:
        entry = self._cache.get(key)
        if entry is None:
            return None
        expires, answer, ttls = entry
        left = int(expires - self._clock())
        if left <= 0:
            del self._cache[key]
            return None
        patched = bytearray(answer)
        for offset in ttls:
            struct.pack_into("!I", patched, offset, min(left, struct.unpack_from("!I", patched, offset)[0]))
        return bytes(patched)

    def _keep(self, key: Key, answer: bytes) -> None:
        code = answer[3] & 0x0F
        if code not in (0, 3):
            return
        offsets = ttl_offsets(answer)
        ttls = [struct.unpack_from("!I", answer, offset)[0] for offset in offsets]
        answered = code == 0 and struct.unpack_from("!H", answer, 6)[0]
        lifetime = min([MAX_TTL if answered else NEGATIVE_TTL, *ttls])
        if lifetime > 0:
            self._cache[key] = (self._clock() + lifetime, answer, offsets)
            if len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)


def _query(name: str, qtype: int, dnssec: bool) -> bytes:
    """A recursive query with EDNS; a random id, and (the caller's socket) a random port guard against forged answers."""
    question = b"".join(bytes([len(label)]) + label for label in (part.encode("idna") for part in name.split(".")) if label) + b"\0"
    header = struct.pack("!HHHHHH", secrets.randbits(16), 0x0100, 1, 0, 0, 1)
    options = struct.pack("!BHHIH", 0, 41, 1232, 0x8000 if dnssec else 0, 0)
    return header + question + struct.pack("!HH", qtype, 1) + options


def ttl_offsets(message: bytes) -> list[int]:
    """Where the TTLs of a message's records stand. Raises ValueError on a message that is cut off."""
    try:
        questions, *counts = struct.unpack_from("!HHHH", message, 4)
        offset = 12
        for _ in range(questions):
            offset = _after_name(message, offset) + 4
        found = []
        for _ in range(sum(counts)):
            offset = _after_name(message, offset)
            kind, _, _, length = struct.unpack_from("!HHIH", message, offset)
            if kind != QTYPE.OPT:
                found.append(offset + 4)
            offset += 10 + length
    except (struct.error, IndexError) as error:
        raise ValueError("a DNS message that is cut off") from error
    return found


def _after_name(message: bytes, offset: int) -> int:
    while (length := message[offset]) != 0:
        if length >= 0xC0:
            return offset + 2
        offset += length + 1
    return offset + 1


class _Exchange(asyncio.DatagramProtocol):
    """One query to one resolver; what is not its answer is ignored."""

    def __init__(self, query: bytes) -> None:
        self.query = query
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        question = self.query[12 : _after_name(self.query, 12) + 4]
        ours = data[:2] == self.query[:2] and data[12 : 12 + len(question)].lower() == question.lower()
        if ours and data[2] & 0x80 and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _exchange_udp(server: Address, query: bytes) -> bytes:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Exchange(query), remote_addr=server)
    try:
        transport.sendto(query)
        return await protocol.answer
    finally:
        transport.close()


async def _exchange_tcp(server: Address, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(struct.pack("!H", len(query)) + query)
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(length)
    finally:
        writer.close()


def merged(query: DNSRecord, aliases: Sequence[object], answer: bytes) -> DNSRecord:
    """A resolver's answer as our own to `query`, after the CNAME records that led there. Pure."""
    foreign = DNSRecord.parse(answer)
    reply = query.reply(ra=1, aa=0)
    reply.header.rcode = foreign.header.rcode
    for record in (*aliases, *foreign.rr):
        reply.add_answer(record)
    for record in foreign.auth:
        reply.add_auth(record)
    return reply
