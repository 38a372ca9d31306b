"""/healthz, /livez and /readyz: named checks, one by one or all together, as upstream prints them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.responses import answer_text, not_found_page

Check = Callable[[], Awaitable[str]]
"""'' when healthy, else what is wrong."""


async def ping() -> str:
    return ""


@dataclass(slots=True)
class Health:
    """The checks of each endpoint, in the order in which they are printed."""

    checks: dict[str, dict[str, Check]] = field(
        default_factory=lambda: {name: {"ping": ping, "log": ping} for name in ("healthz", "livez", "readyz")}
    )

    def add(self, name: str, check: Check, endpoints: tuple[str, ...] = ("healthz", "livez", "readyz")) -> None:
        for endpoint in endpoints:
            self.checks[endpoint][name] = check

    async def handle(self, ctx: RequestContext) -> web.StreamResponse:
        """`/readyz`, `/readyz?verbose`, `/readyz?exclude=etcd`, `/readyz/ping`."""
        endpoint, _, single = ctx.path.strip("/").partition("/")
        checks = self.checks[endpoint]
        if single:
            check = checks.get(single)
            if check is None:
                return not_found_page(ctx)
            wrong = await check()
            return answer_text(ctx, f"internal server error: {wrong}\n", 500) if wrong else answer_text(ctx, "ok")
        excluded = set(ctx.query.get("exclude", ()))
        lines, failed = [], []
        for name, check in checks.items():
            if name in excluded:
                excluded.discard(name)
                lines.append(f"[+]{name} excluded: ok")
            elif await check():
                failed.append(name)
                lines.append(f"[-]{name} failed: reason withheld")
            else:
                lines.append(f"[+]{name} ok")
        if excluded:
            names = ", ".join(f'"{n}"' for n in sorted(excluded))
            lines.append(f"warn: some health checks cannot be excluded: no matches for {names}")
        if failed:
            return answer_text(ctx, "\n".join([*lines, f"{endpoint} check failed"]) + "\n", 500)
        if "verbose" in ctx.query:
            return answer_text(ctx, "\n".join([*lines, f"{endpoint} check passed"]) + "\n")
        return answer_text(ctx, "ok")
