"""Leader election through a Lease, as client-go's leaderelection: one holder at a time renews it, the others wait for it to run out.

A candidate measures the lease by its own clock from the moment it saw the record change, so clocks of machines need not agree.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.api.times import format_micro_time, parse_duration
from kubetree.client.events import EventRecorder

LEASE = kind("coordination.k8s.io/v1", "Lease")
JITTER = 1.2
FIRST_RETRY = 0.02
"""Seconds, doubled each time, between attempts that the server did not answer."""


class LeadershipLost(Exception):
    """The lease could not be renewed in time: who led must stop at once, since another may lead."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, upstream's defaults."""

    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Upstream's flags; `name` is the component's, which the Lease is called after."""
    parser.add_argument("--leader-elect", action=argparse.BooleanOptionalAction, default=True, help="only one of several works at a time")
    for flag, seconds in (("lease-duration", 15.0), ("renew-deadline", 10.0), ("retry-period", 2.0)):
        parser.add_argument(f"--leader-elect-{flag}", type=parse_duration, default=seconds, help=f"default: {seconds:g}s")
    parser.add_argument("--leader-elect-resource-name", default=name)
    parser.add_argument("--leader-elect-resource-namespace", default="kube-system")


def timing(options: argparse.Namespace) -> Timing:
    return Timing(options.leader_elect_lease_duration, options.leader_elect_renew_deadline, options.leader_elect_retry_period)


def wall_clock() -> datetime:
    return datetime.now(UTC)


class Leases(Protocol):
    """What is asked of a Client. Each raises ApiError; an update, Conflict when the object has changed since it was read."""

    async def get(self, kind: Kind, name: str, namespace: str = "") -> dict[str, Any]: ...

    async def create(self, kind: Kind, obj: dict[str, Any]) -> dict[str, Any]: ...

    async def update(self, kind: Kind, obj: dict[str, Any]) -> dict[str, Any]: ...


class LeaderElector:
    """`identity` names this candidate (host name and a random part). `now` gives the wall-clock time written in the Lease."""

    def __init__(
        self,
        client: Leases,
        namespace: str,
        name: str,
        identity: str,
        *,
        timing: Timing | None = None,
        now: Callable[[], datetime] = wall_clock,
        recorder: EventRecorder | None = None,
    ) -> None:
        self._client = client
        self._namespace, self._name, self.identity = namespace, name, identity
        self._timing = timing or Timing()
        self._now = now
        self._recorder = recorder
        self._seen: tuple[str, float] = ("", 0.0)
        self._lease: dict[str, Any] | None = None
        self.leading = False

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Waits for the lease, then runs `lead` while renewing it; gives it back when `lead` ends or is cancelled.

        Raises LeadershipLost, after cancelling `lead`, when the lease could not be renewed for the renew deadline.
        """
        await self._acquire()
        self.leading = True
        if self._recorder is not None and self._lease is not None:
            self._recorder.event(self._lease, "Normal", "LeaderElection", f"{self.identity} became leader")
        work = asyncio.ensure_future(lead())
        renewal = asyncio.ensure_future(self._renew())
        try:
            done, _ = await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self.leading = False
            for task in (work, renewal):
                task.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)
            await self._release()

    async def _acquire(self) -> None:
        """Asks again soon while the server is not that far yet, as in a cluster that starts; in upstream's time while another leads."""
        soon = FIRST_RETRY
        while True:
            try:
                if await self._hold():
                    return
            except errors.ApiError:
                if soon < self._timing.retry_period:
                    await asyncio.sleep(soon)
                    soon *= 2
                    continue
            await asyncio.sleep(self._timing.retry_period * random.uniform(1.0, JITTER))

    async def _renew(self) -> None:
        clock = asyncio.get_running_loop().time
        renewed = clock()
        while True:
            await asyncio.sleep(self._timing.retry_period)
            try:
                async with asyncio.timeout(self._timing.renew_deadline):
                    held = await self._try_hold()
            except TimeoutError:
                held = False
            if held:
                renewed = clock()
            elif clock() - renewed >= self._timing.renew_deadline:
                raise LeadershipLost(f"lease {self._namespace}/{self._name} was not renewed for {self._timing.renew_deadline:g} s")

    async def _try_hold(self) -> bool:
        """Takes or renews the lease if that may be done. False when another holds it or the server does not answer."""
        try:
            return await self._hold()
        except errors.ApiError:
            return False

    async def _hold(self) -> bool:
        """False when another holds the lease. Raises what the server answers instead of doing it."""
        try:
            current = await self._client.get(LEASE, self._name, self._namespace)
        except errors.NotFound:
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": self._namespace},
            }
            body["spec"] = self._record({}, taken=True)
            self._lease = await self._client.create(LEASE, body)
            return True
        spec = current.get("spec") or {}
        if not self._may_take(current, spec):
            return False
        taken = spec.get("holderIdentity") != self.identity
        self._lease = await self._client.update(LEASE, {**current, "spec": self._record(spec, taken=taken)})
        return True

    def _may_take(self, lease: dict[str, Any], spec: dict[str, Any]) -> bool:
        holder = spec.get("holderIdentity") or ""
        now = asyncio.get_running_loop().time()
        version = lease["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, now)
        if holder in ("", self.identity):
            return True
        return now >= self._seen[1] + float(spec.get("leaseDurationSeconds") or self._timing.lease_duration)

    def _record(self, old: dict[str, Any], *, taken: bool) -> dict[str, Any]:
        now = format_micro_time(self._now())
        transitions = int(old.get("leaseTransitions") or 0)
        return {
            **old,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._timing.lease_duration)),
            "acquireTime": now if taken else old.get("acquireTime", now),
            "renewTime": now,
            "leaseTransitions": transitions + 1 if taken and old else transitions,
        }

    async def _release(self) -> None:
        """Gives the lease back, so that the next candidate need not wait for it to run out."""
        if self._lease is None:
            return
        spec = {**self._record(self._lease.get("spec") or {}, taken=False), "holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            async with asyncio.timeout(2):
                await self._client.update(LEASE, {**self._lease, "spec": spec})
        except (errors.ApiError, TimeoutError):
            return
