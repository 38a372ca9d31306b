"""From the configuration to the policy and the sink that requests are recorded by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kubetree.apiserver.audit.batching import Batching
from kubetree.apiserver.audit.config import BATCH, BLOCKING_STRICT, LEGACY, AuditConfig, Backend
from kubetree.apiserver.audit.log_file import LogBackend, LogFile, StandardOutput
from kubetree.apiserver.audit.policy import Policy, read_policy
from kubetree.apiserver.audit.sinks import Losses, Several, Sink, Tolerant, Truncating
from kubetree.apiserver.audit.webhook import WebhookBackend
from kubetree.apiserver.webhooks import WebhookClient


@dataclass(frozen=True, slots=True)
class Auditing:
    policy: Policy
    sink: Sink
    clock: Callable[[], datetime]
    losses: Losses


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
    return Auditing(policy, sinks[0] if len(sinks) == 1 else Several(tuple(sinks)), clock, losses) if sinks else None


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
