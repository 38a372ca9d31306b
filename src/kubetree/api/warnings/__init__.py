"""What the server tells a client that did something legal but unwise: upstream's texts, sent as Warning headers."""

from __future__ import annotations

from kubetree.api.warnings.table import deprecation, warnings

__all__ = ["deprecation", "warnings"]
