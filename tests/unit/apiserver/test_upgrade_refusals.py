"""What a node answers instead of an upgrade is passed on whole, however it comes, and never without bound."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import web

from kubetree.apiserver.connect import upgrade_tunnel


async def refused(head: bytes, *pieces: bytes, closes: bool = True) -> web.Response:
    context: Any = SimpleNamespace(audit_id="a")
    backend = upgrade_tunnel._Backend(cast(Any, None))
    backend.data_received(head)
    answer = asyncio.create_task(upgrade_tunnel._refused(context, backend, await backend.answered))
    for piece in pieces:
        await asyncio.sleep(0)
        backend.data_received(piece)
    if closes:
        backend.connection_lost(None)
    async with asyncio.timeout(30):
        response = await answer
    assert isinstance(response, web.Response)
    return response


async def test_a_body_of_known_length_in_pieces_on_a_connection_that_stays_open() -> None:
    response = await refused(b"HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\npod", b" not", b" it", closes=False)
    assert (response.status, response.body) == (404, b"pod not it")


async def test_a_body_that_ends_with_the_connection() -> None:
    response = await refused(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/x\r\n\r\n", b"no ", b"container")
    assert (response.status, response.body, response.content_type) == (400, b"no container", "text/x")


async def test_rubbish_and_endless_answers_end() -> None:
    endless = [b"x" * 16384] * 8
    response = await refused(b"HTTP/1.1 500 Oops\r\nContent-Length: rubbish\r\n\r\n", *endless, closes=False)
    assert response.status == 500 and isinstance(response.body, bytes) and 65536 <= len(response.body) <= 8 * 16384
