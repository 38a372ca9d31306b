"""A webhook on loopback that answers reviews with what a function makes of them, and the kubeconfig file that leads to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

Object = dict[str, Any]


@dataclass
class Webhook:
    """`status` gets the review and gives its status, or an HTTP status to fail with."""

    kubeconfig: Path
    status: Callable[[Object], Object | int]
    asked: list[Object] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        review = await request.json()
        self.asked.append(review)
        status = self.status(review)
        if isinstance(status, int):
            return web.Response(status=status)
        return web.json_response({**review, "status": status})


@asynccontextmanager
async def webhook(directory: Path, status: Callable[[Object], Object | int]) -> AsyncIterator[Webhook]:
    hook = Webhook(directory / "webhook.kubeconfig", status)
    app = web.Application()
    app.router.add_post("/review", hook.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}/review"}}
    context = {"name": "x", "context": {"cluster": "c", "user": ""}}
    hook.kubeconfig.write_text(json.dumps({"clusters": [cluster], "contexts": [context], "current-context": "x"}))
    try:
        yield hook
    finally:
        await runner.cleanup()
