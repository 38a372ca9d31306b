"""/healthz, /livez and /readyz: named checks, one by one or all together, as upstream prints them, with upstream's names.

Most checks are steps of the start, which dashboards and tests look for by name: each is good once the step is done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from aiohttp import web

from kubetree.api.feature_gates import DEFAULT_FEATURES, Features
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.metrics.exposition import family, labelled
from kubetree.apiserver.wire.responses import answer_text, not_found_page

log = logging.getLogger(__name__)
Probe = Callable[[], Awaitable[str]]
"""'' when healthy, else what is wrong."""
HEALTHZ, LIVEZ, READYZ = "healthz", "livez", "readyz"
EVERYWHERE = (HEALTHZ, LIVEZ, READYZ)

STEPS = (
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "start-kube-apiserver-coordinated-leader-election-controller",
    "peer-endpoint-reconciler-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "storage-readiness",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "aggregator-reload-proxy-client-cert",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-wait-for-first-sync",
    "apiservice-discovery-controller",
    "built-in-resources-storage-version-updater",
    "kube-apiserver-autoregistration",
)
_GATES = {
    "start-kube-apiserver-coordinated-leader-election-controller": "CoordinatedLeaderElection",
    "peer-endpoint-reconciler-controller": "UnknownVersionInteroperabilityProxy",
    "start-kube-apiserver-identity-lease-controller": "APIServerIdentity",
    "start-kube-apiserver-identity-lease-garbage-collector": "APIServerIdentity",
    "built-in-resources-storage-version-updater": "StorageVersionAPI",
}
"""Steps that there are only with a feature gate."""
_LATE_STEPS = ("apiservice-openapi-controller", "apiservice-openapiv3-controller")
AUTOREGISTRATION = "autoregister-completion"
_STARTS = ("poststarthook/", AUTOREGISTRATION)


class Check(NamedTuple):
    """`group` is another name by which it may be excluded."""

    name: str
    probe: Probe
    endpoints: tuple[str, ...] = EVERYWHERE
    group: str = ""


async def good() -> str:
    return ""


class Health:
    """`store` probes the store, `ready` (the same unless given) does for readiness. `features` are the gates that are on. `done` is told of steps as they are; `stopping` fails /readyz. For `grace` seconds from the start (of
    `clock`) /livez does not mind steps that have not finished."""

    def __init__(
        self,
        store: Probe = good,
        ready: Probe | None = None,
        *,
        grace: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        features: Features = DEFAULT_FEATURES,
    ) -> None:
        self._clock, self._strict_from = clock, clock() + grace
        self._done: set[str] = set()
        self._stopping = False
        self.results: dict[tuple[str, str], bool] = {}
        """How each (check, endpoint) went last."""
        self.counts: dict[tuple[str, str, str], int] = {}
        """(check, endpoint, success or error) to how often."""
        before = [
            Check("ping", good),
            Check("log", good),
            Check("loopback-serving-certificate", good, (HEALTHZ, LIVEZ)),
            Check("etcd", store),
            Check("etcd-readiness", ready or store, (READYZ,), "etcd-readiness"),
            Check("informer-sync", self._step("generic-apiserver-start-informers"), (READYZ,)),
        ]
        steps = [Check(f"poststarthook/{name}", self._step(name)) for name in STEPS if _GATES.get(name, "") in {"", *features}]
        late = [Check(f"poststarthook/{name}", self._step(name)) for name in _LATE_STEPS]
        end = [Check("shutdown", self._not_stopping, (READYZ,))]
        self._checks: list[Check] = [*before, *steps, Check(AUTOREGISTRATION, self._step(AUTOREGISTRATION)), *late, *end]

    def done(self, *steps: str) -> None:
        self._done.update(steps)

    def all_done(self) -> None:
        """The start is over."""
        self.done(*STEPS, *_LATE_STEPS, AUTOREGISTRATION)

    @property
    def started(self) -> bool:
        return AUTOREGISTRATION in self._done

    def stopping(self) -> None:
        self._stopping = True

    def add(self, check: Check) -> None:
        """Before the last one."""
        self._checks.insert(-1, check)

    def paths(self) -> Iterable[str]:
        for endpoint in EVERYWHERE:
            yield f"/{endpoint}"
            yield from (f"/{endpoint}/{check.name}" for check in self._of(endpoint))

    def _of(self, endpoint: str) -> list[Check]:
        return [check for check in self._checks if endpoint in check.endpoints]

    def _step(self, name: str) -> Probe:
        async def probe() -> str:
            return "" if name in self._done else "not finished"

        return probe

    async def _not_stopping(self) -> str:
        return "process is shutting down" if self._stopping else ""

    def render(self) -> str:
        """The outcomes as metrics: /metrics/slis."""
        last = [(labelled(("name", "type"), key), float(went)) for key, went in sorted(self.results.items())]
        all_ = [(labelled(("name", "status", "type"), (name, status, type)), n) for (name, type, status), n in sorted(self.counts.items())]
        lines = family("kubernetes_healthcheck", "gauge", "[STABLE] How a health check went last.", last)
        more = family("kubernetes_healthchecks_total", "counter", "[STABLE] How health checks went.", all_)
        return "".join(f"{line}\n" for line in (*lines, *more))

    async def handle(self, ctx: RequestContext) -> web.StreamResponse:
        """`/readyz`, `/readyz?verbose`, `/readyz?exclude=etcd`, `/readyz/ping`."""
        endpoint, _, single = ctx.path.strip("/").partition("/")
        if single:
            found = next((check for check in self._of(endpoint) if check.name == single), None)
            if found is None:
                return not_found_page(ctx)
            wrong = await found.probe()
            return answer_text(ctx, f"internal server error: {wrong}\n", 500) if wrong else answer_text(ctx, "ok")
        excluded = set(ctx.query.get("exclude", ()))
        unknown, lines, failed = set(excluded), [], []
        for check in self._of(endpoint):
            if check.name in excluded:
                unknown.discard(check.name)
                lines.append(f"[+]{check.name} excluded: ok")
            elif check.group in excluded:
                unknown.discard(check.group)
                lines.append(f"[+]{check.name} excluded with {check.group}: ok")
            elif wrong := await self._observed(check, endpoint):
                failed.append(f"[-]{check.name} failed: {wrong}")
                lines.append(f"[-]{check.name} failed: reason withheld")
            else:
                lines.append(f"[+]{check.name} ok")
        if unknown:
            names = ", ".join(f'"{n}"' for n in sorted(unknown))
            lines.append(f"warn: some health checks cannot be excluded: no matches for {names}")
        if failed:
            level = logging.INFO if AUTOREGISTRATION in self._done else logging.DEBUG  # that a start takes its time is no news
            log.log(level, "%s check failed: %s", endpoint, "; ".join(failed))
            return answer_text(ctx, "\n".join([*lines, f"{endpoint} check failed"]) + "\n", 500)
        if "verbose" in ctx.query:
            return answer_text(ctx, "\n".join([*lines, f"{endpoint} check passed"]) + "\n")
        return answer_text(ctx, "ok")

    async def _observed(self, check: Check, endpoint: str) -> str:
        wrong = await check.probe()
        if wrong and endpoint == LIVEZ and check.name.startswith(_STARTS) and self._clock() < self._strict_from:
            wrong = ""
        self.results[check.name, endpoint] = not wrong
        key = (check.name, endpoint, "error" if wrong else "success")
        self.counts[key] = self.counts.get(key, 0) + 1
        return wrong
