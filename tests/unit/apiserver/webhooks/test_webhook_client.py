from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from kubetree.api.errors import ApiError
from kubetree.apiserver.webhooks import CallFailed, Destination, WebhookClient, of_client_config, of_kubeconfig, retried, service_resolver
from kubetree.apiserver.webhooks.client import Wait, told
from kubetree.apiserver.webhooks.resolution import Address
from listed_objects import ListedObjects
from webhook_servers import allow, authority, webhook_server

REVIEW = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u"}}


class _Resolver:
    def __init__(self, port: int = 0) -> None:
        self.port = port

    def resolve(self, namespace: str, name: str, port: int) -> Address:
        return Address("127.0.0.1", self.port)


async def _post(destination: Destination, timeout: float = 5, port: int = 0, wait: Wait = asyncio.sleep) -> object:
    client = WebhookClient(_Resolver(port), wait=wait)
    try:
        return await client.post(destination, REVIEW, timeout=timeout)
    finally:
        await client.close()


async def _failure(destination: Destination, timeout: float = 5, port: int = 0, wait: Wait = asyncio.sleep) -> CallFailed:
    with pytest.raises(CallFailed) as raised:
        await _post(destination, timeout, port, wait)
    return raised.value


async def test_a_url_is_posted_to_and_its_answer_comes_back() -> None:
    async with webhook_server() as server:
        answer = await _post(of_client_config(server.on("/a/b", allow)))
    assert answer == {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": "u", "allowed": True}}
    assert server.reviews == [("/a/b", REVIEW)]
    assert server.queries == ["timeout=5s"]


async def test_a_service_is_reached_where_it_resolves_to_by_the_name_its_certificate_has() -> None:
    config = {"service": {"namespace": "ns", "name": "hook", "path": "/x"}, "caBundle": base64.b64encode(authority().certificate).decode()}
    async with webhook_server("hook.ns.svc") as server:
        server.on("/x", allow)
        await _post(of_client_config(config), port=server.port)
        assert server.asked("/x") == [REVIEW]
    other = {**config, "service": {**config["service"], "name": "other"}}
    async with webhook_server("hook.ns.svc") as server:
        error = await _failure(of_client_config(other), port=server.port)
    assert error.message.startswith('Post "https://other.ns.svc:443/x?timeout=5s": tls: failed to verify certificate: x509: ')


async def test_who_says_when_it_can_is_asked_again_then() -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        if seconds == 9:
            raise TimeoutError  # the time for the call is over before the wait is

    def busy(times: int, status: int = 429, after: int = 1) -> Callable[[object], object]:
        left = iter(range(times))
        refusal = {"status": status, "headers": {"Retry-After": str(after)}}
        return lambda _: {"allowed": True} if next(left, None) is None else web.Response(**refusal)

    async with webhook_server() as server:
        await _post(of_client_config(server.on("/a", busy(2))), wait=wait)
        await _post(of_client_config(server.on("/b", busy(10, 503))), wait=wait)
        error = await _failure(of_client_config(server.on("/c", busy(11))), wait=wait)
        other = await _failure(of_client_config(server.on("/d", busy(1, 404))), wait=wait)
        late = await _failure(of_client_config(server.on("/e", busy(1, 500, 9))), wait=wait)
    assert [len(server.asked(path)) for path in ("/a", "/b", "/c", "/d", "/e")] == [3, 11, 11, 1, 1]
    assert waits == [1] * (2 + 10 + 10) + [9]
    assert error.message == "the server has received too many requests and has asked us to try again later"
    assert other.message == "the server could not find the requested resource"
    assert late.timed_out


async def test_urls_may_redirect_and_services_may_not() -> None:
    async with webhook_server("hook.ns.svc", "localhost") as server:
        server.on("/to", allow)
        config = server.on("/from", lambda _: web.Response(status=307, headers={"Location": "/to"}))
        await _post(of_client_config(config))
        assert server.asked("/to") == [REVIEW]
        config = {"service": {"namespace": "ns", "name": "hook", "path": "/from"}, "caBundle": config["caBundle"]}
        error = await _failure(of_client_config(config), port=server.port)
    assert error.message == "the server responded with the status code 307 but did not return more information"


async def test_a_connection_is_kept_and_one_that_was_closed_meanwhile_is_replaced() -> None:
    client = WebhookClient(_Resolver())
    try:
        async with webhook_server() as server:
            destination = of_client_config(server.on("/a", allow))
            for _ in range(3):
                await client.post(destination, REVIEW, timeout=5)
            assert server.connections == 1

            def close(_: object) -> web.Response:
                response = web.json_response(REVIEW)
                response.force_close()
                return response

            server.on("/a", close)
            for _ in range(3):
                await client.post(destination, REVIEW, timeout=5)
    finally:
        await client.close()


async def test_failures_are_worded_as_gos_http_client_words_them() -> None:
    async with webhook_server() as server:
        config = server.on("/a", allow)
        stranger = {**config, "caBundle": base64.b64encode(type(authority()).create("x", datetime.now(UTC)).certificate).decode()}
        url = f'Post "https://localhost:{server.port}/a?timeout=5s": '
        unknown = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        assert (await _failure(of_client_config(stranger))).message == url + unknown
        server.delay = 3
        late = await _failure(of_client_config(config), timeout=0.05)
        assert late.timed_out
        assert late.message == f'Post "https://localhost:{server.port}/a?timeout=1s": context deadline exceeded'
    gone = await _failure(of_client_config(config))
    assert gone.message.startswith(f'Post "https://localhost:{server.port}/a?timeout=5s": dial tcp ')
    assert gone.message.endswith("connect: connection refused")


@pytest.mark.parametrize(
    ("response", "message", "code"),
    [
        (web.Response(status=500, text="oh no"), 'an error on the server ("oh no") has prevented the request from succeeding', 500),
        (web.Response(status=404, text="404 page not found\n"), "the server could not find the requested resource", 404),
        (web.Response(status=429), "the server has received too many requests and has asked us to try again later", 429),
        (web.json_response({"kind": "Status", "apiVersion": "v1", "message": "mine", "code": 418}, status=418), "mine", 418),
    ],
)
async def test_an_answer_that_is_no_success_is_the_status_it_carries_or_stands_for(response: web.Response, message: str, code: int) -> None:
    async with webhook_server() as server:
        error = await _failure(of_client_config(server.on("/a", lambda _: response)))
    assert error.message == message
    assert error.status is not None
    assert error.status.status_code == code


async def test_a_kubeconfig_gives_server_authority_and_token(tmp_path: Path) -> None:
    async with webhook_server() as server:
        file = tmp_path / "config"
        cluster = {"server": f"https://127.0.0.1:{server.port}/authz/", "certificate-authority-data": server.client_config("/")["caBundle"]}
        file.write_text(
            yaml.safe_dump(
                {
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "users": [{"name": "u", "user": {"token": "t0p"}}],
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                    "current-context": "x",
                }
            )
        )
        server.on("/authz", allow)
        await _post(of_kubeconfig(file))
    assert server.asked("/authz") == [REVIEW]
    assert server.authorizations == ["Bearer t0p"]


async def test_only_what_may_pass_is_tried_again() -> None:
    failures = [CallFailed("x", ApiError("x", status_code=429)), CallFailed("x", reset=True)]

    async def call() -> dict[str, object]:
        if failures:
            raise failures.pop()
        return {"ok": True}

    assert await retried(call, initial=0.001) == {"ok": True}
    failures.append(CallFailed("certificate"))
    with pytest.raises(CallFailed):
        await retried(call, initial=0.001)


def test_timeouts_are_told_in_whole_seconds() -> None:
    assert told("https://a/", 0.2) == "https://a/?timeout=1s"
    assert told("https://a/?x=y", 90) == "https://a/?x=y&timeout=1m30s"


def test_where_a_service_leads() -> None:
    def service(name: str, **spec: object) -> dict[str, object]:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "ns"},
            "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [{"port": 443, "name": "https"}], **spec},
        }

    piece = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "a-1", "namespace": "ns", "labels": {"kubernetes.io/service-name": "a"}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": 8443}],
        "endpoints": [{"addresses": ["1.2.3.4"], "conditions": {"ready": False}}, {"addresses": ["1.2.3.5"]}],
    }
    lister = ListedObjects(
        service("a"), service("none", clusterIP="None"), service("out", type="ExternalName", externalName="example.com"), piece
    ).cached()
    by_ip, by_endpoint = service_resolver(lister, endpoints=False), service_resolver(lister, endpoints=True)
    assert by_ip.resolve("ns", "a", 443) == ("10.0.0.1", 443)
    assert by_endpoint.resolve("ns", "a", 443) == ("1.2.3.5", 8443)
    assert by_ip.resolve("ns", "out", 443) == ("example.com", 443)
    for resolver, name, port, why in (
        (by_ip, "none", 443, 'cannot route to service with ClusterIP "None"'),
        (by_ip, "a", 80, 'no service port 80 found for service "a"'),
        (by_ip, "b", 443, 'service "b" not found'),
        (by_endpoint, "none", 443, 'no endpoints available for service "none"'),
        (by_endpoint, "out", 443, 'unsupported service type "ExternalName"'),
    ):
        with pytest.raises(Exception) as raised:
            resolver.resolve("ns", name, port)
        assert str(raised.value) == why
