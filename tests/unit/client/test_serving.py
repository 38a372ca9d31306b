"""What a component has beside its work: health for anyone, metrics for who may."""

import socket
import ssl
from types import SimpleNamespace

import aiohttp

from kubetree.client.serving import Endpoint, serving


class Allowing:
    """Knows one token, whose user may read metrics when `may` is true."""

    def __init__(self, may: bool) -> None:
        self._may = may

    async def caller(self, token: str) -> SimpleNamespace | None:
        return SimpleNamespace(name="prometheus") if token == "known" else None

    async def allowed(self, caller: SimpleNamespace, *, path: str) -> bool:
        return self._may and path == "/metrics"


async def get(port: int, path: str, token: str = "") -> tuple[int, str]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as session, session.get(f"https://127.0.0.1:{port}{path}", ssl=context, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_metrics_are_the_components_and_its_processs() -> None:
    async with serving(Endpoint("127.0.0.1", 0), {}, lambda: b"", None) as none:
        assert none == 0
    async with serving(Endpoint("127.0.0.1", _free()), {"ping": lambda: ""}, lambda: b"mine 1\n", Allowing(True)) as port:  # type: ignore[arg-type]
        status, text = await get(port, "/metrics", "known")
        assert status == 200 and text.startswith("mine 1\n")
        named = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
        assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_start_time_seconds", "process_open_fds"} <= named
        assert await get(port, "/healthz") == (200, "ok")
        assert (await get(port, "/metrics"))[0] == (await get(port, "/metrics", "other"))[0] == 401


async def test_who_may_not_is_told_so() -> None:
    async with serving(Endpoint("127.0.0.1", _free()), {}, lambda: b"", Allowing(False)) as port:  # type: ignore[arg-type]
        assert await get(port, "/metrics", "known") == (403, 'Forbidden: user "prometheus" cannot get path "/metrics"\n')


def _free() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
