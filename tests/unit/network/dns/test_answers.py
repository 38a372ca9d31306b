"""Names and the answers they get: the Kubernetes DNS specification, line by line, and what resolvers' search paths ask besides."""

from __future__ import annotations

import ipaddress

import pytest
from dnslib import QTYPE, DNSRecord

from kubetree.network.dns.answers import Answered, Forward, Zone, answer, rotations, truncated
from unit.network.dns.cluster import CLUSTER

ZONE = Zone("cluster.local", (ipaddress.ip_network("10.96.0.0/16"), ipaddress.ip_network("10.244.0.0/16")))


def ask(name: str, kind: str = "A") -> DNSRecord:
    outcome = answer(DNSRecord.parse(DNSRecord.question(name, kind).pack()), CLUSTER, ZONE)
    assert isinstance(outcome, Answered), outcome
    return DNSRecord.parse(outcome.message.pack())


def lines(records: list[object]) -> list[str]:
    return [" ".join(str(record).split()) for record in records]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("web.default.svc.cluster.local", "A", ["30 IN A 10.96.0.20"]),
        ("WEB.Default.svc.cluster.LOCAL", "A", ["30 IN A 10.96.0.20"]),
        ("web.default.svc.cluster.local", "AAAA", ["30 IN AAAA fd00:20::20"]),
        ("_http._tcp.web.default.svc.cluster.local", "SRV", ["30 IN SRV 0 100 80 web.default.svc.cluster.local."]),
        ("db.default.svc.cluster.local", "A", ["5 IN A 10.244.0.5", "5 IN A 10.244.0.6"]),
        ("db-0.db.default.svc.cluster.local", "A", ["5 IN A 10.244.0.5"]),
        ("10-244-0-6.db.default.svc.cluster.local", "A", ["5 IN A 10.244.0.6"]),
        (
            "_http._tcp.db.default.svc.cluster.local",
            "SRV",
            [
                "5 IN SRV 0 50 8080 db-0.db.default.svc.cluster.local.",
                "5 IN SRV 0 50 8080 10-244-0-6.db.default.svc.cluster.local.",
            ],
        ),
        ("portless.default.svc.cluster.local", "A", ["5 IN A 10.244.0.8"]),
        ("10-244-0-99.default.pod.cluster.local", "A", ["30 IN A 10.244.0.99"]),
        ("20.0.96.10.in-addr.arpa", "PTR", ["5 IN PTR web.default.svc.cluster.local."]),
        ("5.0.244.10.in-addr.arpa", "PTR", ["5 IN PTR db-0.db.default.svc.cluster.local."]),
        ("dns-version.cluster.local", "TXT", ['28800 IN TXT "1.1.0"']),
        ("cluster.local", "NS", ["30 IN NS kube-dns.kube-system.svc.cluster.local."]),
    ],
)
def test_records(name: str, kind: str, expected: list[str]) -> None:
    reply = ask(name, kind)
    assert [line.split(" ", 1)[1] for line in lines(reply.rr)] == expected
    assert reply.header.aa == 1
    assert str(reply.q.qname) == f"{name}.", "the question comes back as it was asked"


def test_srv_answers_bring_their_targets_addresses() -> None:
    assert lines(ask("_http._tcp.db.default.svc.cluster.local", "SRV").ar) == [
        "db-0.db.default.svc.cluster.local. 5 IN A 10.244.0.5",
        "10-244-0-6.db.default.svc.cluster.local. 5 IN A 10.244.0.6",
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("kube-dns.kube-system.svc.cluster.local", "AAAA"),
        ("web.default.svc.cluster.local", "MX"),
        ("default.svc.cluster.local", "A"),
        ("svc.cluster.local", "A"),
        ("default.pod.cluster.local", "A"),
        ("cluster.local", "A"),
    ],
)
def test_a_name_that_exists_without_such_records_is_no_error(name: str, kind: str) -> None:
    reply = ask(name, kind)
    assert (reply.header.rcode, reply.rr) == (0, [])
    assert reply.auth[0].rtype == QTYPE.SOA, "so that the answer can be kept"


@pytest.mark.parametrize(
    "name",
    [
        "nope.default.svc.cluster.local",
        "web.nowhere.svc.cluster.local",
        "nowhere.svc.cluster.local",
        "empty.default.svc.cluster.local",
        "db-2.db.default.svc.cluster.local",
        "_nope._tcp.web.default.svc.cluster.local",
        "_http._udp.web.default.svc.cluster.local",
        "not-an-address.default.pod.cluster.local",
        "10-244-0-99.nowhere.pod.cluster.local",
        "web.default.cluster.local",
        "example.com.default.svc.cluster.local",
        "example.com.svc.cluster.local",
        "example.com.cluster.local",
        "a.b.c.web.default.svc.cluster.local",
        "99.0.96.10.in-addr.arpa",
    ],
)
def test_a_name_that_does_not_exist(name: str) -> None:
    reply = ask(name)
    assert (reply.header.rcode, reply.rr) == (3, [])
    assert reply.auth[0].rtype == QTYPE.SOA


def test_external_names() -> None:
    query = DNSRecord.question("outside.default.svc.cluster.local")
    outcome = answer(query, CLUSTER, ZONE)
    assert isinstance(outcome, Forward)
    assert outcome.name == "www.example.com"
    assert lines(list(outcome.aliases)) == ["outside.default.svc.cluster.local. 30 IN CNAME www.example.com."]
    assert lines(ask("inside.default.svc.cluster.local").rr) == [
        "inside.default.svc.cluster.local. 30 IN CNAME web.default.svc.cluster.local.",
        "web.default.svc.cluster.local. 30 IN A 10.96.0.20",
    ]
    assert lines(ask("outside.default.svc.cluster.local", "CNAME").rr) == [
        "outside.default.svc.cluster.local. 30 IN CNAME www.example.com."
    ]
    assert ask("circle.default.svc.cluster.local").header.rcode == 2


@pytest.mark.parametrize("name", ["example.com", "cluster.local.example.com", "1.2.0.192.in-addr.arpa", "mycluster.local"])
def test_other_names_are_forwarded(name: str) -> None:
    outcome = answer(DNSRecord.question(name), CLUSTER, ZONE)
    assert isinstance(outcome, Forward)
    assert outcome.name == name


def test_what_is_no_ordinary_query_is_refused() -> None:
    notify = DNSRecord.question("cluster.local")
    notify.header.opcode = 4
    outcome = answer(notify, CLUSTER, ZONE)
    assert isinstance(outcome, Answered)
    assert outcome.message.header.rcode == 4
    assert ask("web.default.svc.cluster.local").header.rcode == 0
    empty = answer(DNSRecord(), CLUSTER, ZONE)
    assert isinstance(empty, Answered)
    assert empty.message.header.rcode == 1


def test_addresses_take_turns() -> None:
    outcome = answer(DNSRecord.question("db.default.svc.cluster.local"), CLUSTER, ZONE)
    assert isinstance(outcome, Answered)
    firsts = [str(reply.rr[0].rdata) for reply in rotations(outcome.message)]
    assert firsts == ["10.244.0.5", "10.244.0.6"]


def test_a_truncated_answer_keeps_the_question_only() -> None:
    short = truncated(ask("db.default.svc.cluster.local"))
    assert (short.header.tc, short.rr, len(short.questions)) == (1, [], 1)
