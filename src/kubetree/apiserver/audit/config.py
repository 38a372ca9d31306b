"""What the --audit-* flags say, and the flags. Follows apiserver's server/options/audit.go with its defaults."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubetree.apiserver.audit.batching import BatchLimits
from kubetree.apiserver.audit.policy import API_VERSION
from kubetree.apiserver.options.values import duration, integer, truth

BATCH, BLOCKING, BLOCKING_STRICT = "batch", "blocking", "blocking-strict"
MODES = (BATCH, BLOCKING, BLOCKING_STRICT)
LEGACY, JSON = "legacy", "json"


@dataclass(frozen=True, slots=True)
class Backend:
    """What the log and the webhook have in common. Sizes are bytes."""

    mode: str
    batch: BatchLimits
    truncate: bool = False
    truncate_max_event_size: int = 100 * 1024
    truncate_max_batch_size: int = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """`max_size` is in megabytes, `max_age` in days; 0: no limit. Without a policy nothing is recorded."""

    policy_file: Path | None = None
    log_path: str = ""
    """`-`: standard output."""
    log: Backend = field(default_factory=lambda: Backend(BLOCKING, BatchLimits(10_000, 1, 0.0)))
    log_format: str = JSON
    log_max_age: int = 366
    log_max_backups: int = 100
    log_max_size: int = 100
    log_compress: bool = False
    webhook_config_file: Path | None = None
    webhook: Backend = field(default_factory=lambda: Backend(BATCH, BatchLimits(10_000, 400, 30.0, 10.0, 15)))
    webhook_initial_backoff: float = 10.0


_BACKENDS = {"log": AuditConfig().log, "webhook": AuditConfig().webhook}


def add_audit_arguments(parser: argparse.ArgumentParser) -> None:
    """Upstream's --audit-* flags."""
    d = AuditConfig()
    add = parser.add_argument
    add("--audit-policy-file", type=Path)
    add("--audit-log-path", default="", metavar="PATH", help="- is standard output")
    add("--audit-log-maxage", type=integer, default=d.log_max_age, metavar="DAYS")
    add("--audit-log-maxbackup", type=integer, default=d.log_max_backups, metavar="FILES")
    add("--audit-log-maxsize", type=integer, default=d.log_max_size, metavar="MEGABYTES")
    add("--audit-log-compress", type=truth, nargs="?", const=True, default=False)
    add("--audit-log-format", default=JSON)
    add("--audit-webhook-config-file", type=Path)
    add("--audit-webhook-initial-backoff", "--audit-webhook-batch-initial-backoff", type=duration, default=d.webhook_initial_backoff)
    for name, backend in _BACKENDS.items():
        batch = backend.batch
        add(f"--audit-{name}-version", default=API_VERSION)
        add(f"--audit-{name}-mode", default=backend.mode)
        add(f"--audit-{name}-batch-buffer-size", type=integer, default=batch.buffer)
        add(f"--audit-{name}-batch-max-size", type=integer, default=batch.largest)
        add(f"--audit-{name}-batch-max-wait", type=duration, default=batch.longest_wait)
        add(f"--audit-{name}-batch-throttle-enable", type=truth, nargs="?", const=True, default=bool(batch.rate))
        add(f"--audit-{name}-batch-throttle-qps", type=float, default=batch.rate)
        add(f"--audit-{name}-batch-throttle-burst", type=integer, default=batch.burst)
        add(f"--audit-{name}-truncate-enabled", type=truth, nargs="?", const=True, default=False)
        add(f"--audit-{name}-truncate-max-batch-size", type=integer, default=backend.truncate_max_batch_size)
        add(f"--audit-{name}-truncate-max-event-size", type=integer, default=backend.truncate_max_event_size)


def audit_config(options: argparse.Namespace) -> AuditConfig | None:
    """None where no backend is named. Raises ValueError for numbers that cannot work."""
    given = {key.removeprefix("audit_"): value for key, value in vars(options).items() if key.startswith("audit_")}
    if not given["log_path"] and not given["webhook_config_file"]:
        return None
    for flag in ("maxage", "maxbackup", "maxsize"):
        if given[f"log_{flag}"] < 0:
            raise ValueError(f"--audit-log-{flag} {given[f'log_{flag}']} can't be a negative number")
    return AuditConfig(
        given["policy_file"],
        given["log_path"],
        _backend("log", given, bool(given["log_path"])),
        given["log_format"],
        given["log_maxage"],
        given["log_maxbackup"],
        given["log_maxsize"],
        given["log_compress"],
        given["webhook_config_file"],
        _backend("webhook", given, given["webhook_config_file"] is not None),
        given["webhook_initial_backoff"],
    )


def _backend(name: str, given: dict[str, Any], used: bool) -> Backend:
    if not used:
        return _BACKENDS[name]
    own = {key.removeprefix(f"{name}_"): value for key, value in given.items() if key.startswith(f"{name}_")}
    throttled = own["batch_throttle_enable"]
    positive = {"buffer size": own["batch_buffer_size"], "max batch size": own["batch_max_size"]}
    if throttled:
        positive |= {"throttle QPS": own["batch_throttle_qps"], "throttle burst": own["batch_throttle_burst"]}
    for what, value in positive.items() if own["mode"] == BATCH else ():
        if value <= 0:
            raise ValueError(f"invalid audit batch {name} {what} {value}, must be a positive number")
    event, batch = own["truncate_max_event_size"], own["truncate_max_batch_size"]
    if event <= 0:
        raise ValueError(f"invalid audit truncate {name} max event size {event}, must be a positive number")
    if batch < event:
        raise ValueError(f"invalid audit truncate {name} max batch size {batch}, must be greater than max event size ({event})")
    rate, burst = (own["batch_throttle_qps"], own["batch_throttle_burst"]) if throttled else (0.0, 0)
    limits = BatchLimits(own["batch_buffer_size"], own["batch_max_size"], own["batch_max_wait"], rate, burst)
    return Backend(own["mode"], limits, own["truncate_enabled"], event, batch)
