"""From the configuration to the policy and the sink that requests are recorded by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from kubetree.apiserver.audit.batching import Batching
from kubetree.apiserver.audit.config import BATCH, BLOCKING_STRICT, LEGACY, AuditConfig, Backend
from kubetree.apiserver.audit.log_file import LogBackend, LogFile, StandardOutput
from kubetree.apiserver.audit.policy import Level, Policy, read_policy
from kubetree.apiserver.audit.sinks import Counting, Losses, Several, Sink, Tolerant, Truncating
from kubetree.apiserver.audit.webhook import WebhookBackend
from kubetree.apiserver.metrics.exposition import family, labelled
from kubetree.apiserver.webhooks import WebhookClient

_TEXTS = {
    "events": "[ALPHA] Counter of audit events generated and sent to the audit backend.",
    "levels": "[ALPHA] Counter of policy levels for audit events (1 per request).",
    "rejected": "[ALPHA] Counter of apiserver requests rejected due to an error in audit logging backend.",
    "lost": "[ALPHA] Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by the error.",
}


@dataclass(slots=True)
class Auditing:
    """What the audit middleware works with."""

    policy: Policy
    sink: Counting
    clock: Callable[[], datetime]
    losses: Losses
    levels: dict[Level, int] = field(default_factory=dict)
    """Requests by how much of them is recorded."""
    ready: Callable[[], bool] = lambda: True
    """Whether the start is over."""
    rejected: int = 0
    """Requests that were not worked on because their record could not be kept."""

    def metrics(self) -> Iterator[str]:
        yield from family("apiserver_audit_event_total", "counter", _TEXTS["events"], [("", self.sink.events)])
        levels = [(labelled(("level",), (level.text,)), n) for level, n in sorted(self.levels.items())]
        yield from family("apiserver_audit_level_total", "counter", _TEXTS["levels"], levels)
        yield from family("apiserver_audit_requests_rejected_total", "counter", _TEXTS["rejected"], [("", self.rejected)])
        lost = [(labelled(("plugin",), (plugin,)), n) for plugin, n in sorted(self.losses.by_plugin.items())]
        yield from family("apiserver_audit_error_total", "counter", _TEXTS["lost"], lost)


def no_auditing() -> Iterator[str]:
    """The counters of a server that records nothing."""
    yield from family("apiserver_audit_event_total", "counter", _TEXTS["events"], [("", 0)])
    yield from family("apiserver_audit_requests_rejected_total", "counter", _TEXTS["rejected"], [("", 0)])


def build_auditing(
    config: AuditConfig | None, tasks: asyncio.TaskGroup, clock: Callable[[], datetime], client: WebhookClient
) -> Auditing | None:
    """None: nothing is recorded, because no backend or no policy is named. Raises OSError, ValueError naming the file."""
    if config is None or config.policy_file is None:
        return None
    policy, losses, sinks = read_policy(config.policy_file), Losses(), []
    if config.log_path:
        log = LogBackend(_output(config, clock), losses, legacy=config.log_format == LEGACY)
        sinks.append(_wrapped(log, config.log, losses, tasks, together=False))
    if config.webhook_config_file is not None:
        webhook = WebhookBackend(client, config.webhook_config_file, config.webhook_initial_backoff, losses)
        sinks.append(_wrapped(webhook, config.webhook, losses, tasks, together=True))
    if not sinks:
        return None
    return Auditing(policy, Counting(sinks[0] if len(sinks) == 1 else Several(tuple(sinks))), clock, losses)


def _wrapped(sink: Sink, backend: Backend, losses: Losses, tasks: asyncio.TaskGroup, *, together: bool) -> Sink:
    if backend.mode == BATCH:
        sink = Batching(sink, backend.batch, losses, tasks, together=together)
    elif backend.mode != BLOCKING_STRICT:
        sink = Tolerant(sink)
    if backend.truncate:
        sink = Truncating(sink, backend.truncate_max_event_size, backend.truncate_max_batch_size, losses)
    return sink


def _output(config: AuditConfig, clock: Callable[[], datetime]) -> LogFile | StandardOutput:
    if config.log_path == "-":
        return StandardOutput()
    return LogFile(
        Path(config.log_path),
        clock,
        max_size=config.log_max_size,
        max_age=config.log_max_age,
        max_backups=config.log_max_backups,
        compress=config.log_compress,
    )
