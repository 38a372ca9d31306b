"""The kubelet's port judges the path that it serves, however the request spells it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from kubetree.kubelet.server.authorization import subresources
from kubetree.kubelet.server.server import Host, KubeletServer


class Judge:
    """Lets in whom `nodes/metrics` would let in."""

    async def refusal(self, request: web.BaseRequest, path: str) -> web.Response | None:
        return None if "metrics" in subresources(path) else web.Response(status=403)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/metrics", 200),
        pytest.param("/metrics?command=" + "a" * 20_000, 200, id="as long as the command of an exec may be"),
        ("/%6detrics", 200),
        ("/pods", 403),
        ("/pods/../metrics", 403),
        ("/pods/%2e%2e/metrics", 403),
        ("/configz/../metrics", 403),
        ("//metrics", 403),
        ("*", 403),
    ],
)
async def test_permission_for_one_path_opens_no_other(target: str, status: int) -> None:
    anything: Any = lambda *_: ""  # noqa: E731
    host = Host(anything, anything, list, dict, anything, anything, dict, anything, anything)  # type: ignore[arg-type]
    judge: Any = Judge()
    async with KubeletServer(host, judge, anything).listen("127.0.0.1", 0, None) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        method = "OPTIONS" if target == "*" else "GET"
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n")
        assert int(head.split()[1]) == status
        writer.close()
