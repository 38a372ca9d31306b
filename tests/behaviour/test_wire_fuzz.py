"""Rubbish below the API: HTTP that is none, bits that flip on the wire, identities that cannot be, protobuf that is broken. The server
answers with the client's error or closes; it writes no stack trace and goes on."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import logging
import re
from collections.abc import AsyncIterator
from random import Random

import pytest
import pytest_asyncio

from behaviour.apiserver_harness import MAPS, Http, config_map, running_server
from kubetree.api import protobuf
from kubetree.api.kind_table import ROWS
from kubetree.api.kinds import Kind
from random_objects import RandomObjects

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.one_store]
BODY = json.dumps(config_map("a")).encode()
POST = b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GET = b"GET /api/v1/namespaces HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
UPGRADE = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: "
EXEC = b"GET /api/v1/namespaces/default/pods/none/exec?command=x&stdout=1 HTTP/1.1\r\n"
RUBBISH = {
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}  ",
    "a length and chunks": CHUNKED + b"Content-Length: 5\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks twice": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks of something": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks that are not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a coding nobody knows": POST + b"Transfer-Encoding: x\r\n\r\n{}",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length with a sign": POST + b"Content-Length: +2\r\n\r\n{}",
    "a length in words": POST + b"Content-Length: two\r\n\r\n{}",
    "a huge length": POST + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "a length of more than may be": POST + b"Content-Length: 99999999999\r\n\r\n{}",
    "less than its length": POST + b"Content-Length: 500\r\n\r\n{}",
    "a chunk of no size": CHUNKED + b"\r\n\r\n{}\r\n0\r\n\r\n",
    "a chunk of a negative size": CHUNKED + b"\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk of a huge size": CHUNKED + b"\r\nfffffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"\r\n2\r\n{}{}{}\r\n0\r\n\r\n",
    "chunks with extensions": CHUNKED + b"\r\n2;" + b"x" * 5000 + b"\r\n{}\r\n0\r\n\r\n",
    "chunks with trailers": CHUNKED + b"\r\n2\r\n{}\r\n0\r\nA: b\r\nContent-Length: 7\r\n\r\n",
    "chunks without an end": CHUNKED + b"\r\n2\r\n{}\r\n",
    "bare line feeds": b"GET /api HTTP/1.1\nHost: x\n\n",
    "bare carriage returns": b"GET /api HTTP/1.1\rHost: x\r\r",
    "a header that goes on": GET + b"A: b\r\n c\r\n\r\n",
    "a header without a colon": GET + b"rubbish\r\n\r\n",
    "a header without a name": GET + b": x\r\n\r\n",
    "a space before the colon": GET + b"Accept : x\r\n\r\n",
    "zeros in a header": GET + b"Accept: a\x00b\r\n\r\n",
    "bytes in a header": GET + b"Accept: \xff\xfe\r\nUser-Agent: \x80\r\n\r\n",
    "bytes in a header's name": GET + b"\xff\xfe: x\r\n\r\n",
    "a long header": GET + b"A: " + b"x" * 1_100_000 + b"\r\n\r\n",
    "many headers": GET + b"".join(b"A%d: x\r\n" % n for n in range(20_000)) + b"\r\n",
    "a long target": b"GET /api?" + b"x" * 1_100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET /api HTTP/1.1\r\n\r\n",
    "two hosts": GET + b"Host: y\r\n\r\n",
    "HTTP/0.9": b"GET /api\r\n\r\n",
    "HTTP/1.0": b"GET /api HTTP/1.0\r\n\r\n",
    "HTTP/3.7": b"GET /api HTTP/3.7\r\nHost: x\r\n\r\n",
    "HTTP/2 without a word": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2 by upgrade": b"GET /api HTTP/1.1\r\nHTTP2-Settings: x\r\n" + UPGRADE + b"h2c\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 300,
    "nothing at all": b"\x00" * 2000,
    "an absolute target": b"GET http://elsewhere.example/api/v1/pods HTTP/1.1\r\nHost: x\r\n\r\n",
    "an absolute target of no sense": b"GET http://[::1/api HTTP/1.1\r\nHost: x\r\n\r\n",
    "a port that is none": b"GET http://x:99999999/api HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "a star for an object": b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target without a slash": b"GET api HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the target": b"GET /api/v1/namespaces/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "half an escape": b"GET /api/v1/namespaces/%f HTTP/1.1\r\nHost: x\r\n\r\n",
    "escaped zeros": b"GET /api/v1/namespaces/%00%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "overlong letters": b"GET /api/v1/namespaces/%c0%af%e0%80%af HTTP/1.1\r\nHost: x\r\n\r\n",
    "escaped slashes and dots": b"GET /api/v1/namespaces/%2f%2e%2e%2fpods?labelSelector=%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "half of a pair of letters": b"GET /api/v1/namespaces/%ed%a0%80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a fragment": b"GET /api#x HTTP/1.1\r\nHost: x\r\n\r\n",
    "an upgrade of what has none": b"GET /api/v1/namespaces HTTP/1.1\r\n" + UPGRADE + b"websocket\r\n\r\n",
    "an upgrade to nothing known": EXEC + UPGRADE + b"x\r\n\r\n",
    "an upgrade without a key": EXEC + UPGRADE + b"websocket\r\n\r\n",
    "an upgrade with a bad key": EXEC + UPGRADE + b"websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 99\r\n\r\n",
    "SPDY without a version": EXEC + UPGRADE + b"SPDY/3.1\r\n\r\n",
    "a watch as a WebSocket, badly": b"GET /api/v1/pods?watch=1 HTTP/1.1\r\n" + UPGRADE + b"websocket\r\nSec-WebSocket-Key: \xff\r\n\r\n",
    "an expectation": POST + b"Expect: the-unexpected\r\nContent-Length: 2\r\n\r\n{}",
    "bytes that are no gzip": POST + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "an encoding nobody knows": POST + b"Content-Encoding: x\r\nContent-Length: 2\r\n\r\n{}",
    "encodings that contradict": GET + b"Accept-Encoding: gzip;q=x, *;q=-1, identity;q=0\r\n\r\n",
    "a character set nobody knows": POST.replace(b"json", b"json; charset=klingon") + b"Content-Length: 2\r\n\r\n{}",
    "a content type of no sense": POST.replace(b"application/json", b";/=\xff") + b"Content-Length: 2\r\n\r\n{}",
    "a token of nothing": GET + b"Authorization: Bearer\r\n\r\n",
    "a token of bytes": GET + b"Authorization: Bearer \xff\xfe.x.y\r\n\r\n",
    "a token of dots": GET + b"Authorization: Bearer " + b"." * 5000 + b"\r\n\r\n",
    "a token with no algorithm": GET + b"Authorization: Bearer eyJhbGciOiJub25lIn0.e30.\r\n\r\n",
    "a token whose head is no object": GET + b"Authorization: Bearer W10.W10.W10\r\n\r\n",
    "a password": GET + b"Authorization: Basic \xff:\r\n\r\n",
    "one who is nobody": GET + b"Impersonate-User: \r\n\r\n",
    "groups of nobody": GET + b"Impersonate-Group: a\r\n\r\n",
    "an identifier of nobody": GET + b"Impersonate-Uid: a\r\nImpersonate-Extra-a: b\r\n\r\n",
    "extras that are not escaped well": GET + b"Impersonate-User: a\r\nImpersonate-Extra-%zz: \xff\r\nImpersonate-Extra-: x\r\n\r\n",
    "a user of bytes": GET + b"Impersonate-User: \xff\xfe\r\nImpersonate-Group: \x80\r\n\r\n",
    "an account that is none": GET + b"Impersonate-User: system:serviceaccount::\r\nImpersonate-User: b\r\n\r\n",
    "an agent of bytes": POST + b"User-Agent: \xff\x80/\xfe\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "an audit identifier of bytes": GET + b"Audit-ID: \xff" + b"x" * 500 + b"\r\n\r\n",
    "a trace that is none": GET + b"traceparent: 00-zz-zz-zz\r\nX-Forwarded-For: \xff,,,\r\n\r\n",
    "a method of letters": b"G\xffT /api HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long method": b"X" * 5000 + b" /api HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[Http]:
    async with running_server() as running:
        yield running


async def answers(http: Http, sent: bytes) -> list[int]:
    """The statuses of all that comes back until the server has nothing more to say to a client that has said everything."""
    reader, writer = await http.connect()
    got = b""
    try:
        writer.write(sent)
        writer.write_eof()
        got = await asyncio.wait_for(reader.read(), 30)
    except ConnectionError:
        pass  # closed before all was sent
    finally:
        writer.close()
    assert b"Traceback" not in got, got
    return [int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", got, re.MULTILINE)]


def assert_quiet(caplog: pytest.LogCaptureFixture) -> None:
    loud = [record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
    assert not loud


@pytest.mark.parametrize("sent", RUBBISH.values(), ids=RUBBISH)
async def test_what_is_no_proper_request(http: Http, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert all(status < 500 or status in (501, 505) for status in await answers(http, sent))
    assert_quiet(caplog)
    assert (await http.get("/readyz")).status == 200


async def test_no_request_hides_in_the_body_of_another(http: Http) -> None:
    """With a length and chunks, who reads the one sees another end than who reads the other: there may be no second request."""
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    lengthy = CHUNKED + b"Content-Length: %d\r\n\r\n0\r\n\r\n" % (5 + len(hidden))
    assert len(await answers(http, lengthy + hidden)) <= 1
    assert len(await answers(http, POST + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden)) <= 1
    assert len(await answers(http, POST + b"Content-Length: %d\r\n\r\n" % len(hidden) + hidden)) == 1


async def test_pipelined_requests_good_and_bad_are_answered_in_order(http: Http) -> None:
    bad = POST + b"Content-Length: 1\r\n\r\n{"
    none = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    assert await answers(http, (GET + b"\r\n" + bad + none) * 30) == [200, 400, 404] * 30


async def test_requests_whose_bits_flip(http: Http, caplog: pytest.LogCaptureFixture) -> None:
    random = Random(1)
    whole = (
        POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
        CHUNKED + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
        GET.replace(b"namespaces", b"namespaces?limit=1&labelSelector=a%3Db,c+in+(d)&fieldSelector=metadata.name%3Da")
        + b"Accept: */*\r\n\r\n",
        b"PATCH " + MAPS.encode() + b"/a?fieldManager=x HTTP/1.1\r\nHost: x\r\nContent-Type: application/apply-patch+yaml\r\n"
        b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
    )
    for _ in range(300):
        sent = bytearray(random.choice(whole))
        for _ in range(random.choice((1, 1, 2, 5))):
            sent[random.randrange(len(sent))] ^= 1 << random.randrange(8)
        assert all(status < 500 or status in (501, 505) for status in await answers(http, bytes(sent))), bytes(sent)
    assert_quiet(caplog)


BUILT_IN = [row for row in ROWS if row.stored]


@pytest.mark.parametrize("row", BUILT_IN, ids=lambda row: f"{row.kind}.{row.api_version}")
async def test_protobuf_whose_bits_flip(http: Http, row: Kind, caplog: pytest.LogCaptureFixture) -> None:
    random, where = Random(row.kind), row.path("default")
    for number in range(2):
        whole = protobuf.encode(RandomObjects(number).of(row))
        for _ in range(6):
            sent = bytearray(whole)
            for _ in range(random.choice((1, 1, 3, 10))):
                sent[random.randrange(4, len(sent))] ^= 1 << random.randrange(8)
            if random.random() < 0.2:
                del sent[random.randrange(4, len(sent)) :]
            for method, path in (("POST", f"{where}?dryRun=All"), ("PUT", f"{where}/x"), ("DELETE", f"{where}/x")):
                reply = await http.request(method, path, bytes(sent), Content_Type="application/vnd.kubernetes.protobuf")
                assert reply.status < 500, (method, reply.text, bytes(sent))
    assert_quiet(caplog)


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{n}: &{n} [{','.join('*' + b for _ in range(9))}]\n" for b, n in itertools.pairwise("abcdefghi")
)
DEEP = {
    "JSON": ("application/json", '{"a":' * 200_000),
    "whole JSON": ("application/json", '{"a":' * 20_000 + "1" + "}" * 20_000),
    "JSON lists": ("application/json", '{"data":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "YAML": ("application/yaml", "a: " + "[" * 200_000),
    "whole YAML": ("application/yaml", "a: " + "[" * 100_000 + "]" * 100_000),
    "YAML by indentation": ("application/yaml", "".join(" " * n + "a:\n" for n in range(1500))),
    "YAML in one line": ("application/yaml", "- " * 100_000 + "x"),
    "YAML that grows": ("application/yaml", LAUGHS),
    "YAML in itself": ("application/yaml", "a: &a [*a]"),
}


@pytest.mark.parametrize(("sort", "body"), DEEP.values(), ids=DEEP)
async def test_bodies_that_are_deep_or_grow_are_refused_at_once(http: Http, sort: str, body: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the stack nor memory is spent on them."""
    await http.post(MAPS, config_map("deep"))
    assert (await http.request("POST", MAPS, body, Content_Type=sort)).status == 400
    assert (await http.request("PUT", f"{MAPS}/deep", body, Content_Type=sort)).status == 400
    for patch in ("merge-patch+json", "strategic-merge-patch+json", "json-patch+json", "apply-patch+yaml"):
        assert (await http.patch(f"{MAPS}/deep?fieldManager=x", body, patch)).status in (400, 422), patch
    assert_quiet(caplog)


async def test_aliases_of_no_harm_are_followed(http: Http) -> None:
    reply = await http.request(
        "POST",
        MAPS,
        "kind: ConfigMap\napiVersion: v1\nmetadata: {name: alias, labels: &l {a: b}}\ndata: *l",
        Content_Type="application/yaml",
    )
    assert reply.json["data"] == {"a": "b"}


async def test_a_watch_of_an_object_whose_name_has_an_operator_in_it(http: Http) -> None:
    reply = await http.get("/api/v1/watch/namespaces/default/configmaps/a=b,c!=d?timeoutSeconds=1")
    assert (reply.status, reply.text) == (200, "")


async def test_a_user_of_bytes_is_shown_with_replacement_characters(http: Http) -> None:
    reader, writer = await http.connect()
    review = b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'
    writer.write(
        b"POST /apis/authentication.k8s.io/v1/selfsubjectreviews HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Impersonate-User: a\xff\r\nContent-Length: %d\r\n\r\n" % len(review) + review
    )
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 201"), body
    assert json.loads(body)["status"]["userInfo"]["username"] == "a\ufffd"


async def test_bodies_are_never_unpacked(http: Http) -> None:
    """As upstream: a small body that unpacks to a huge one would cost memory."""
    reply = await http.request("POST", MAPS, gzip.compress(BODY), Content_Type="application/json", Content_Encoding="gzip")
    assert reply.status == 400 and "couldn't get version/kind" in reply.text


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "copy", "from": "/data", "path": f"/data/x{number}"} for number in range(60)],
        [{"op": "add", "path": "/data" + "/a" * number, "value": {}} for number in range(400)],
        [{"op": "copy", "from": "", "path": "/data"}] * 5,
    ],
    ids=["doubled", "deep", "in itself"],
)
async def test_patches_that_grow_are_refused(http: Http, patch: object) -> None:
    await http.post(MAPS, config_map("grown", k="v"))
    reply = await http.patch(f"{MAPS}/grown", patch, "json-patch+json")
    assert reply.status in (400, 422), reply.text


async def test_an_object_too_deep_to_be_written_is_refused(http: Http, caplog: pytest.LogCaptureFixture) -> None:
    deep = '{"a":' * 600 + "1" + "}" * 600
    body = '{"kind":"ControllerRevision","apiVersion":"apps/v1","metadata":{"name":"deep"},"revision":1,"data":' + deep + "}"
    reply = await http.request("POST", "/apis/apps/v1/namespaces/default/controllerrevisions", body, Content_Type="application/json")
    assert reply.status == 400, reply.text
    assert_quiet(caplog)
