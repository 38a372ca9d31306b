"""From a query to its answer: DNS messages of what the cluster knows. Pure.

What the cluster does not know is the forwarder's; `answer` says so by giving a `Forward`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from dnslib import AAAA, CLASS, CNAME, EDNS0, NS, PTR, QTYPE, RCODE, RR, SOA, SRV, TXT, A, DNSHeader, DNSRecord

from kubetree.network.dns.names import NameKind, parse_name, parse_reverse
from kubetree.network.dns.records import ENDPOINT_TTL, NOTHING, SERVICE_TTL, Cluster, Records, names_at, records

SCHEMA_VERSION = "1.1.0"
SCHEMA_TTL = 28800
UDP_SIZE = 1232
"""The largest UDP answer given to a client that offers at least as much: what crosses any network in one piece."""
PLAIN_UDP_SIZE = 512
_MAX_ALIASES = 8


@dataclass(frozen=True, slots=True)
class Zone:
    """The cluster domain, and the ranges whose reverse names are the cluster's alone."""

    domain: str = "cluster.local"
    ranges: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer. `owners` are the (namespace, service)s that it depends on: while they stay, the same question may get it again,
    unless `lasting` is False."""

    message: DNSRecord
    owners: tuple[tuple[str, str], ...] = ()
    lasting: bool = True


@dataclass(frozen=True, slots=True)
class Forward:
    """The query is for others to answer. `alias` holds the CNAME records that lead from the question to `name`."""

    name: str
    aliases: tuple[RR, ...] = ()


def answer(query: DNSRecord, cluster: Cluster, zone: Zone) -> Answered | Forward:
    """The answer to a query of one question; anything else than an ordinary query is refused as RFC 1035 has it."""
    if query.header.opcode != 0:
        return Answered(failure(query, RCODE.NOTIMP))
    if len(query.questions) != 1:
        return Answered(failure(query, RCODE.FORMERR))
    question = query.q
    name = str(question.qname).rstrip(".").lower()
    if question.qclass not in (CLASS.IN, 255):
        return Answered(failure(query, RCODE.REFUSED))
    if address := parse_reverse(name):
        return _reverse(query, address, cluster, zone)
    return _forward_lookup(query, name, cluster, zone)


def failure(query: DNSRecord, code: int) -> DNSRecord:
    return _reply(query, authoritative=False, code=code)


def _reverse(query: DNSRecord, address: str, cluster: Cluster, zone: Zone) -> Answered | Forward:
    names = names_at(address, cluster, zone.domain)
    ours = any(ipaddress.ip_address(address) in r for r in zone.ranges)
    if not names and not ours:
        return Forward(str(query.q.qname).rstrip(".").lower())
    reply = _reply(query, code=0 if names else RCODE.NXDOMAIN)
    if names and query.q.qtype in (QTYPE.PTR, QTYPE.ANY):
        for name in names:
            reply.add_answer(RR(query.q.qname, QTYPE.PTR, ttl=ENDPOINT_TTL, rdata=PTR(name)))
    else:
        reply.add_auth(_soa(zone))
    return Answered(reply, lasting=False)


def _forward_lookup(query: DNSRecord, name: str, cluster: Cluster, zone: Zone) -> Answered | Forward:
    """Follows ExternalName services as long as they lead to other services; their first name outside is the forwarder's."""
    owners: list[tuple[str, str]] = []
    aliases: list[RR] = []
    asked = query.q.qname
    for _ in range(_MAX_ALIASES):
        parsed = parse_name(name, zone.domain)
        if parsed is None:
            return Forward(name, tuple(aliases))
        owners.append((parsed.namespace, parsed.service))
        if parsed.kind is NameKind.APEX:
            return Answered(_apex(query, cluster, zone), (("kube-system", "kube-dns"),))
        if parsed.kind is NameKind.VERSION and query.q.qtype in (QTYPE.TXT, QTYPE.ANY):
            reply = _reply(query)
            reply.add_answer(RR(asked, QTYPE.TXT, ttl=SCHEMA_TTL, rdata=TXT(SCHEMA_VERSION)))
            return Answered(reply)
        found = records(parsed, cluster, zone.domain)
        if not found.alias:
            return Answered(_records_reply(query, asked, found, aliases, zone), tuple(owners))
        aliases.append(RR(asked, QTYPE.CNAME, ttl=found.ttl, rdata=CNAME(found.alias)))
        if query.q.qtype in (QTYPE.CNAME, QTYPE.ANY):
            return Answered(_records_reply(query, asked, Records(), aliases, zone), tuple(owners))
        name = asked = found.alias
    return Answered(failure(query, RCODE.SERVFAIL))


def _records_reply(query: DNSRecord, asked: object, found: Records, aliases: Sequence[RR], zone: Zone) -> DNSRecord:
    reply = _reply(query, code=0 if found.exists or aliases else RCODE.NXDOMAIN)
    for alias in aliases:
        reply.add_answer(alias)
    kind = query.q.qtype
    if kind in (QTYPE.A, QTYPE.ANY):
        for address in found.of_version(4):
            reply.add_answer(RR(asked, QTYPE.A, ttl=found.ttl, rdata=A(address)))
    if kind in (QTYPE.AAAA, QTYPE.ANY):
        for address in found.of_version(6):
            reply.add_answer(RR(asked, QTYPE.AAAA, ttl=found.ttl, rdata=AAAA(address)))
    if kind == QTYPE.SRV:
        _add_services(reply, asked, found)
    if not reply.rr:
        reply.add_auth(_soa(zone))
    return reply


def _add_services(reply: DNSRecord, asked: object, found: Records) -> None:
    """SRV records share the weight evenly, with their targets' addresses beside them."""
    weight = max(1, 100 // max(1, len(found.services)))
    targets: dict[tuple[str, str], None] = {}
    for service in found.services:
        reply.add_answer(RR(asked, QTYPE.SRV, ttl=found.ttl, rdata=SRV(0, weight, service.port, service.host)))
        targets.update(dict.fromkeys((service.host, address) for address in service.addresses))
    for host, address in targets:
        reply.add_ar(_address_record(host, address, found.ttl))


def _address_record(name: object, address: str, ttl: int) -> RR:
    if ":" in address:
        return RR(name, QTYPE.AAAA, ttl=ttl, rdata=AAAA(address))
    return RR(name, QTYPE.A, ttl=ttl, rdata=A(address))


def _apex(query: DNSRecord, cluster: Cluster, zone: Zone) -> DNSRecord:
    reply = _reply(query)
    kind = query.q.qtype
    if kind in (QTYPE.SOA, QTYPE.ANY):
        reply.add_answer(_soa(zone))
    if kind in (QTYPE.NS, QTYPE.ANY):
        server = f"kube-dns.kube-system.svc.{zone.domain}"
        reply.add_answer(RR(zone.domain, QTYPE.NS, ttl=SERVICE_TTL, rdata=NS(server)))
        parsed = parse_name(server, zone.domain)
        found = records(parsed, cluster, zone.domain) if parsed else NOTHING
        for address in found.addresses:
            reply.add_ar(_address_record(server, address, SERVICE_TTL))
    if not reply.rr:
        reply.add_auth(_soa(zone))
    return reply


def _soa(zone: Zone) -> RR:
    """The serial stands still: nobody transfers this zone, and a constant one keeps answers the same over nodes."""
    times = (1, 7200, 1800, 86400, ENDPOINT_TTL)
    return RR(zone.domain, QTYPE.SOA, ttl=ENDPOINT_TTL, rdata=SOA(f"ns.dns.{zone.domain}", f"hostmaster.{zone.domain}", times))


def _reply(query: DNSRecord, *, authoritative: bool = True, code: int = 0) -> DNSRecord:
    """The beginning of an answer: the question again, and EDNS when the client speaks it."""
    header = DNSHeader(id=query.header.id, bitmap=query.header.bitmap, qr=1, aa=int(authoritative), ra=1, tc=0, ad=0, rcode=code)
    reply = DNSRecord(header, questions=query.questions)
    if any(record.rtype == QTYPE.OPT for record in query.ar):
        reply.add_ar(EDNS0(udp_len=UDP_SIZE))
    return reply


def rotations(reply: DNSRecord, limit: int = 8) -> list[DNSRecord]:
    """The answer with its addresses in different orders, so that clients that take the first one spread over all."""
    addresses = [rr for rr in reply.rr if rr.rtype in (QTYPE.A, QTYPE.AAAA)]
    others = [rr for rr in reply.rr if rr.rtype not in (QTYPE.A, QTYPE.AAAA)]
    turns = max(1, min(limit, len(addresses)))
    orders = [[*others, *addresses[n:], *addresses[:n]] for n in range(turns)]
    return [DNSRecord(reply.header, reply.questions, rr=order, auth=reply.auth, ar=reply.ar) for order in orders]


def udp_limit(query: DNSRecord) -> int:
    """How long an answer the client takes by UDP."""
    for record in query.ar:
        if record.rtype == QTYPE.OPT:
            offered: int = record.edns_len
            return max(PLAIN_UDP_SIZE, min(offered, UDP_SIZE))
    return PLAIN_UDP_SIZE


def truncated(reply: DNSRecord) -> DNSRecord:
    """The answer that tells a client to ask again by TCP."""
    header = DNSHeader(id=reply.header.id, bitmap=reply.header.bitmap, tc=1)
    short = DNSRecord(header, questions=reply.questions)
    for record in reply.ar:
        if record.rtype == QTYPE.OPT:
            short.add_ar(record)
    return short
