"""admission.Attributes: what an admission plugin sees of a write, and the Protocol that plugins follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from kubetree.api.kinds import Kind
from kubetree.apiserver.authentication.user import User

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


@dataclass(slots=True)
class Reinvocation:
    """What webhooks and policies that mutate have done so far: the first to find something to do for a request makes it.

    `wanted`: one has changed the object, so the chain runs a second time. `running`: this is the second time. `managers` are the
    managedFields from before, `kept` what each of these plugins remembers for itself, by its name.
    """

    managers: list[dict[str, Any]] | None
    wanted: bool = False
    running: bool = False
    kept: dict[str, Any] = field(default_factory=dict)


class Origin(Protocol):
    """The operation that a request is of. `unsettled`: a webhook or policy has changed a custom resource, which may have fields now that
    its schema does not know. Later ones see them, as upstream's do; what is stored has none."""

    unsettled: bool


@dataclass(slots=True)
class AdmissionRequest:
    """One write. `obj` is the new object (None for DELETE), which mutating plugins change in place; `old` is never changed.

    `obj` has been decoded, defaulted and prepared by the kind's strategy, and is in the storage version; for subresources that take
    another kind (Binding, Scale, Eviction, TokenRequest) it is that kind's object, and `kind` stays the parent's row.
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
    """CreateOptions, UpdateOptions or DeleteOptions as the client gave them; empty for CONNECT."""
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    """Audit annotations that plugins add."""
    verb: str = ""
    """The verb that writes: `patch` of an UPDATE that came as one."""
    waits: dict[str, float] = field(default_factory=dict)
    """Seconds spent waiting for others, by whom."""
    origin: Origin | None = None
    reinvocation: Reinvocation | None = None

    def annotate(self, key: str, value: str) -> None:
        """Adds an audit annotation; the first word on a key stands."""
        self.annotations.setdefault(key, value)

    def reinvocable(self) -> Reinvocation:
        """The request's Reinvocation, made at the first call."""
        if self.reinvocation is None:
            metadata = (self.obj or {}).get("metadata")
            self.reinvocation = Reinvocation(metadata.get("managedFields") if isinstance(metadata, dict) else None)
        return self.reinvocation
