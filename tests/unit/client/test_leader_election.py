"""Who leads, and how soon: candidates against a server of one Lease."""

from __future__ import annotations

import asyncio
from typing import Any

from kubetree.api import errors
from kubetree.client.leader_election import LeaderElector, Timing

NEVER = Timing(retry_period=3600.0)


class OneLease:
    """Answers as the API server does, after refusing `refusals` requests as one does that is not ready."""

    def __init__(self, refusals: int = 0, lease: dict[str, Any] | None = None) -> None:
        self.refusals, self.lease, self.asked = refusals, lease, 0

    async def get(self, kind: object, name: str, namespace: str) -> dict[str, Any]:
        self.asked += 1
        if self.refusals:
            self.refusals -= 1
            raise errors.ServiceUnavailable("not started yet")
        if self.lease is None:
            raise errors.NotFound("no lease")
        return self.lease

    async def create(self, kind: object, body: dict[str, Any]) -> dict[str, Any]:
        return await self.update(kind, body)

    async def update(self, kind: object, body: dict[str, Any]) -> dict[str, Any]:
        version = str(int((self.lease or body)["metadata"].get("resourceVersion", 0)) + 1)
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        return self.lease


def candidate(server: OneLease, identity: str = "me") -> LeaderElector:
    return LeaderElector(server, "kube-system", "scheduler", identity, timing=NEVER)  # type: ignore[arg-type]


async def _nothing() -> None:
    return None


def test_a_server_that_still_starts_is_asked_again_soon() -> None:
    server = OneLease(refusals=3)
    asyncio.run(asyncio.wait_for(candidate(server).run(_nothing), 30))
    assert server.asked == 4
    assert server.lease is not None and server.lease["spec"]["holderIdentity"] == ""  # given back


def test_a_lease_that_another_holds_is_asked_for_in_upstreams_time() -> None:
    held = {"metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": "another", "leaseDurationSeconds": 15}}
    server = OneLease(lease=held)

    async def wait() -> None:
        running = asyncio.ensure_future(candidate(server).run(_nothing))
        done, _ = await asyncio.wait([running], timeout=0.1)
        running.cancel()
        assert not done

    asyncio.run(wait())
    assert server.asked == 1
    assert server.lease == held
