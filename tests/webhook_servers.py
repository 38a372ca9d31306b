"""HTTPS servers in the test process that answer reviews as a test says, and remember what they were asked."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web

from kubetree.cluster.certificates import Authority

Object = dict[str, Any]
Answer = Callable[[Object], Object | web.Response]
"""From a review to the whole answer, or to what stands in its `response` besides the uid (told by the lack of `kind`)."""


@cache
def authority() -> Authority:
    return Authority.create("webhooks", datetime.now(UTC))


@dataclass
class WebhookServer:
    """`answers` maps paths to what they answer; `reviews` and `queries` are what came, in order."""

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    reviews: list[tuple[str, Object]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    connections: int = 0
    delay: float = 0.0

    def on(self, path: str, answer: Answer) -> Object:
        """The clientConfig of a webhook that answers so."""
        self.answers[path] = answer
        return self.client_config(path)

    def client_config(self, path: str) -> Object:
        return {"url": f"https://localhost:{self.port}{path}", "caBundle": base64.b64encode(authority().certificate).decode()}

    def asked(self, path: str) -> list[Object]:
        return [review for at, review in self.reviews if at == path]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        review = json.loads(await request.read())
        self.reviews.append((request.path, review))
        self.queries.append(request.query_string)
        self.authorizations.append(request.headers.get("Authorization", ""))
        await asyncio.sleep(self.delay)
        answer = self.answers[request.path](review)
        if isinstance(answer, web.Response):
            return answer
        if "kind" not in answer:
            uid = (review.get("request") or {}).get("uid")
            answer = {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": {"uid": uid, **answer}}
        return web.json_response(answer)


@asynccontextmanager
async def webhook_server(*hosts: str) -> AsyncIterator[WebhookServer]:
    """`hosts`: names and addresses of its certificate; localhost unless given."""
    pair = authority().server("webhook", hosts or ("localhost", "127.0.0.1"), datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "pair.pem")
        file.write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(file)
    server = WebhookServer()
    http = web.Server(server.handle)

    def protocol() -> Any:
        server.connections += 1
        return http()

    listener = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await http.shutdown(0.1)


def allow(_: Object) -> Object:
    return {"allowed": True}


def patching(*operations: Object) -> Answer:
    patch = base64.b64encode(json.dumps(list(operations)).encode()).decode()
    return lambda _: {"allowed": True, "patchType": "JSONPatch", "patch": patch}


def deny(message: str = "", **result: Any) -> Answer:
    return lambda _: {"allowed": False, "status": {"message": message, **result}}
