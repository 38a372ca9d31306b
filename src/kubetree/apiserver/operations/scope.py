"""Who writes, and how: what every operation needs besides the object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kubetree.api.kinds import Kind
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authentication.user import MASTERS_GROUP, User

_OPTIONS = {CREATE: "CreateOptions", UPDATE: "UpdateOptions"}
APISERVER_MANAGER = "kube-apiserver"
APISERVER = User("system:apiserver", groups=(MASTERS_GROUP, "system:authenticated"))


@dataclass(slots=True)
class WriteScope:
    """`namespace` is the request's ('' for cluster-scoped kinds). `admit` False: an internal write, which passes no admission."""

    namespace: str
    user: User = APISERVER
    manager: str = APISERVER_MANAGER
    subresource: str = ""
    dry_run: bool = False
    admit: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    waits: dict[str, float] = field(default_factory=dict)
    unsettled: bool = False
    """See admission.request.Origin."""
    defaulted: bool = False
    """The object to be created has its defaults."""
    spec: bytes | None = None
    """The JSON of that object's spec as it comes in, where it is known."""
    nameless: bool = False
    """The request names no object (deletecollection), and so admission is told none."""

    @property
    def patching(self) -> bool:
        return self.options.get("kind") == "PatchOptions"

    def admission(self, operation: str, kind: Kind, name: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> AdmissionRequest:
        """A patch is admitted as the update or create that it comes to."""
        namespace = name if kind.plural == "namespaces" and not kind.group else self.namespace
        options, wanted = self.options, _OPTIONS.get(operation)
        if wanted is not None and options and options["kind"] != wanted:
            options = {**options, "kind": wanted}
        return AdmissionRequest(
            operation,
            kind,
            self.subresource,
            namespace,
            "" if self.nameless else name,
            obj,
            old,
            self.user,
            self.dry_run,
            options,
            self.warnings,
            self.annotations,
            "patch" if self.patching else operation.lower(),
            self.waits,
            self,
        )


@dataclass(frozen=True, slots=True)
class Stored:
    """An object after an operation, as it is stored (storage version). `value` has no resourceVersion: `revision` is it.

    `created` tells an update that created from one that changed, `unchanged` one that had nothing to write; `revision` 0: nothing was
    written (dry run of a create).
    """

    obj: dict[str, Any]
    value: bytes
    revision: int
    created: bool = False
    unchanged: bool = False
