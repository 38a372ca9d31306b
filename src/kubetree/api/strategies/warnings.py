"""What the server tells a client that did something legal but unwise."""

from __future__ import annotations

from typing import Any

from kubetree.api.kinds import Kind


def warnings(kind: Kind, obj: dict[str, Any], old: dict[str, Any] | None) -> list[str]:
    """Texts for Warning headers, `old` None on creation."""
    return []
