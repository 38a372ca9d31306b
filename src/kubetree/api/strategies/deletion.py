"""How long an object may take to go."""

from __future__ import annotations

from typing import Any

from kubetree.api.kinds import Kind


def default_grace_period(kind: Kind, obj: dict[str, Any], options: dict[str, Any]) -> int:
    """Seconds until `obj` is removed, 0 for at once. Only pods that are bound and not finished are given time.

    `options` are the DeleteOptions; upstream's podStrategy.CheckGracefulDelete.
    """
    if kind.kind != "Pod" or kind.group:
        return 0
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Failed", "Succeeded"):
        return 0
    period = options.get("gracePeriodSeconds")
    if period is None:
        period = spec.get("terminationGracePeriodSeconds")
    seconds = int(period or 0)
    return 1 if seconds < 0 else seconds
