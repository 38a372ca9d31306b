"""admission.Attributes: what an admission plugin sees of a write, and the Protocol that plugins follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kubetree.api.kinds import Kind
from kubetree.apiserver.authentication.user import User

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


@dataclass(slots=True)
class AdmissionRequest:
    """One write. `obj` is the new object (None for DELETE), which mutating plugins change in place; `old` is never changed.

    `obj` has been decoded, defaulted and prepared by the kind's strategy; for subresources that take another kind
    (Binding, Scale, Eviction, TokenRequest) it is that kind's object, and `kind` stays the parent's row.
    """

    operation: str
    kind: Kind
    subresource: str
    namespace: str
    name: str
    obj: dict[str, Any] | None
    old: dict[str, Any] | None
    user: User
    dry_run: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    """Audit annotations that plugins add."""
