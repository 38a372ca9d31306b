"""--audit-log-format=legacy: an event as one line of text. Follows apiserver's audit/format.go."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any


def event_line(event: dict[str, Any]) -> str:
    """An event as --audit-log-format=legacy writes it, without the line's end."""
    user, acting = event.get("user") or {}, event.get("impersonatedUser")
    name = user.get("username") or "<none>"
    groups = _listed(user["groups"]) if user.get("username") and user.get("groups") else "<none>"
    as_user, as_groups = "<self>", "<lookup>"
    if acting is not None:
        as_user = acting.get("username", "")
        as_groups = _listed(acting["groups"]) if acting.get("groups") else "<lookup>"
    fields = {
        "id": event["auditID"],
        "stage": event["stage"],
        "ip": (event.get("sourceIPs") or ["<unknown>"])[0],
        "method": event["verb"],
        "user": name,
        "groups": groups,
        "as": as_user,
        "asgroups": as_groups,
        "user-agent": event.get("userAgent", ""),
        "namespace": (event.get("objectRef") or {}).get("namespace") or "<none>",
        "uri": event["requestURI"],
    }
    shown = " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())
    code = (event.get("responseStatus") or {}).get("code", 0) if "responseStatus" in event else "<deferred>"
    return f'{_nano(event["requestReceivedTimestamp"])} AUDIT: {shown} response="{code}"'


def _nano(time: str) -> str:
    """RFC3339Nano, which drops trailing zeros of the fraction."""
    return re.sub(r"\.?0*Z$", "Z", time) if "." in time else time


def _listed(names: Iterable[str]) -> str:
    return ",".join(_quoted(name) for name in names)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
