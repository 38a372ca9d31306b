"""Logs, exec and proxies through the API server, with a stand-in for the kubelet on the other side."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from behaviour.apiserver_harness import Http, running_server
from kubetree.apiserver.options.config import TLSFiles

pytestmark = pytest.mark.one_store

PODS = "/api/v1/namespaces/default/pods"


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubelet")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    certificate = builder.sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "kubelet.pem").write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "kubelet.pem")
    return context


async def kubelet(request: web.Request) -> web.StreamResponse:
    if request.path.startswith("/containerLogs/default/p/"):
        if request.path.endswith("/broken"):
            return web.Response(status=400, text="container is waiting to start")
        answer = web.StreamResponse()
        await answer.prepare(request)
        for line in (b"one\n", b"two\n", request.query_string.encode() + b"\n"):
            await answer.write(line)
        return answer
    if request.path == "/exec/default/p/c":
        if "Upgrade" not in request.headers:
            return web.Response(status=400, text="no upgrade")
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await socket.prepare(request)
        await socket.send_str(request.query_string)
        async for message in socket:
            await socket.send_bytes(b"\x01" + message.data)
        return socket
    if request.path == "/refuse/x":
        return web.Response(status=418, text="teapot")
    return web.json_response({"path": request.path, "query": request.query_string, "body": await request.text()})


async def spdy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speaks no HTTP after the upgrade: gives back what it gets."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nhello")
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[tuple[int, int]]:
    context = self_signed(folder)
    runner = web.ServerRunner(web.Server(kubelet))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    raw = await asyncio.start_server(spdy, "127.0.0.1", 0, ssl=context)
    try:
        yield runner.addresses[0][1], raw.sockets[0].getsockname()[1]
    finally:
        raw.close()
        await runner.cleanup()


async def make_node(http: Http, name: str, port: int) -> None:
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    made = await http.post("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status})
    assert made.status == 201, made.text


async def make_pod(http: Http, name: str, node: str, *containers: str) -> None:
    spec = {"nodeName": node, "containers": [{"name": c, "image": "i"} for c in containers]}
    made = await http.post(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec})
    assert made.status == 201, made.text


@pytest.fixture(params=["plain", "tls"])
async def http(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Http]:
    pem = tmp_path / "kubelet.pem"
    tls = TLSFiles(pem, pem) if request.param == "tls" else None
    async with listening(tmp_path) as (port, raw_port), running_server(tls=tls) as server:
        await make_node(server, "n", port)
        await make_node(server, "raw", raw_port)
        await make_pod(server, "p", "n", "c", "broken")
        await make_pod(server, "q", "raw", "c")
        yield server


async def test_logs_come_from_the_kubelet(http: Http) -> None:
    reply = await http.get(f"{PODS}/p/log?container=c&tailLines=2&timestamps=true")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/plain"
    assert reply.text == "one\ntwo\ntimestamps=true&tailLines=2\n"


async def test_a_container_must_be_named_when_there_are_several(http: Http) -> None:
    unnamed = await http.get(f"{PODS}/p/log")
    assert unnamed.json["message"] == "a container name must be specified for pod p, choose one of: [c broken]"
    wrong = await http.get(f"{PODS}/p/log?container=x")
    assert wrong.json["message"] == "container x is not valid for pod p"
    waiting = await http.get(f"{PODS}/p/log?container=broken")
    assert (waiting.status, waiting.json["message"]) == (400, "container is waiting to start")
    bad = await http.get(f"{PODS}/p/log?container=c&tailLines=-1")
    assert (bad.status, bad.json["reason"]) == (422, "Invalid")


async def test_exec_passes_a_websocket_through(http: Http) -> None:
    url = f"{http.server.url}{PODS}/p/exec?container=c&command=echo&command=a%20b&stdin=true&stdout=true"
    async with http.session.ws_connect(url, protocols=("v5.channel.k8s.io",)) as socket:
        assert socket.protocol == "v5.channel.k8s.io"
        assert (await socket.receive_str()) == "input=1&output=1&command=echo&command=a b"
        await socket.send_bytes(b"hi" * 100_000)
        assert (await socket.receive_bytes()) == b"\x01" + b"hi" * 100_000


async def test_any_upgraded_protocol_passes_through(http: Http) -> None:
    reader, writer = await http.connect()
    writer.write(f"POST {PODS}/q/attach HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert await reader.readexactly(5) == b"hello"
    sent = b"\x80\x03\x00\x01" * 500_000
    writer.write(sent)
    assert await reader.readexactly(len(sent)) == sent
    writer.close()


async def test_exec_without_an_upgrade_is_refused(http: Http) -> None:
    reply = await http.post(f"{PODS}/p/exec?container=c&command=ls", None)
    assert (reply.status, reply.json["message"]) == (400, "Upgrade request required")


async def test_an_unreachable_node_is_an_error_not_a_hang(http: Http) -> None:
    await make_node(http, "dead", 1)
    await make_pod(http, "r", "dead", "c")
    assert (await http.get(f"{PODS}/r/log")).status == 500


async def test_the_node_proxy_keeps_path_and_query(http: Http) -> None:
    reply = await http.request("POST", "/api/v1/nodes/n/proxy/some/path%20x?a=b", "text", Content_Type="text/plain")
    assert reply.json == {"path": "/some/path x", "query": "a=b", "body": "text"}
    async with http.session.get(http.server.url + "/api/v1/nodes/n/proxy", allow_redirects=False) as moved:
        assert (moved.status, moved.headers["Location"]) == (301, "/api/v1/nodes/n/proxy/")
    assert (await http.get("/api/v1/nodes/n/proxy/refuse/x")).status == 418


async def test_a_pod_that_is_nowhere_has_an_empty_log_and_no_exec(http: Http) -> None:
    await make_pod(http, "s", "", "c")
    empty = await http.get(f"{PODS}/s/log")
    assert (empty.status, empty.text) == (204, "")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.session.ws_connect(f"{http.server.url}{PODS}/s/exec?command=ls")
    assert refused.value.status == 400
