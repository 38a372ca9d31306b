"""Who may ask for devices as their administrator, and who may write which part of a claim's status.

Upstream does this in the storage of ResourceClaims (pkg/registry/resource/utils.go), so it holds whichever plugins are enabled. The
status has several authors: who binds a claim needs `resourceclaims/binding`, a driver `resourceclaims/driver` with its own name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from kubetree.api.errors import NotFound, invalid
from kubetree.api.kind_table import kind
from kubetree.api.objects import labels, semantic_equal
from kubetree.api.validation.errors import FieldError, forbidden, internal
from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authentication.user import NODE_NAME, User, split_service_account
from kubetree.apiserver.authorization.attributes import Attributes, Authorizer, Decision
from kubetree.apiserver.authorization.forbidden import forbidden_by
from kubetree.apiserver.registry import Writer

Object = dict[str, Any]

NAMESPACE = kind("v1", "Namespace")
ADMIN_ACCESS = "resource.kubernetes.io/admin-access"
"""The label, with the value "true", of namespaces where claims may have admin access."""


class DeviceClaims(Plugin):
    name = "DeviceClaims"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset({"resourceclaims.resource.k8s.io", "resourceclaimtemplates.resource.k8s.io"})
    subresources = frozenset({"", "status"})
    validates = True

    def __init__(self, writer: Writer, authorizer: Authorizer) -> None:
        self._writer, self._authorizer = writer, authorizer

    async def validate(self, request: AdmissionRequest) -> None:
        obj = request.obj or {}
        if request.subresource:
            errors = await self._of_status(request, obj.get("status") or {}, (request.old or {}).get("status") or {})
        elif request.operation == CREATE:
            spec = obj.get("spec") or {}
            claim = (spec.get("spec") or {}) if request.kind.plural == "resourceclaimtemplates" else spec
            errors = await self._admin_access(request.namespace, _requested(claim))
        else:
            return
        if errors:
            row = request.kind
            raise invalid(row.kind, row.group, request.name, [error.to_cause() for error in errors])

    async def _of_status(self, request: AdmissionRequest, new: Object, old: Object) -> list[FieldError]:
        errors = [] if _granted(old) else await self._admin_access(request.namespace, _granted(new))
        asked = Attributes(
            request.user,
            "patch" if request.verb == "patch" else "update",
            group=request.kind.group,
            version=request.kind.version,
            resource=request.kind.plural,
        )
        if not all(semantic_equal(new.get(field), old.get(field)) for field in ("allocation", "reservedFor")):
            errors += self._refused_binding(asked)
        if new.get("allocation"):
            drivers = sorted(_changed_drivers(new, old))
            verbs = _driver_verbs(asked, new["allocation"])
            errors += self._refused_drivers(replace(asked, namespace=request.namespace), verbs, drivers)
        return errors

    async def _admin_access(self, namespace: str, path: str) -> list[FieldError]:
        """`path` is the field that wants it, "" for none."""
        if not path:
            return []
        try:
            found = await self._writer.get(NAMESPACE, "", namespace)
        except NotFound as error:
            return [internal(path, f"could not retrieve namespace to verify admin access: {error.message}")]
        if labels(found).get(ADMIN_ACCESS) == "true":
            return []
        return [forbidden(path, f"admin access to devices requires the `{ADMIN_ACCESS}: true` label on the containing namespace")]

    def _refused_binding(self, asked: Attributes) -> Iterator[FieldError]:
        if refused := self._refused(replace(asked, subresource="binding")):
            needs = f'resource="resourceclaims/binding", verb="{asked.verb}" permission'
            yield forbidden("status.allocation", f"changing status.allocation or status.reservedFor requires {needs}: {refused}")

    def _refused_drivers(self, asked: Attributes, verbs: Sequence[str], drivers: Sequence[str]) -> Iterator[FieldError]:
        for driver in drivers:
            refusals = [self._refused(replace(asked, subresource="driver", verb=verb, name=driver)) for verb in verbs]
            if all(refusals):
                needs = f'resource="resourceclaims/driver", verb="[{" ".join(verbs)}]" permission'
                yield forbidden("status.devices", f"changing status.devices requires {needs}: {refusals[0]}")

    def _refused(self, question: Attributes) -> str:
        answer = self._authorizer.authorize(question)
        return "" if answer.decision is Decision.ALLOW else forbidden_by(question, answer.reason).message


def _requested(claim: Object) -> str:
    for number, request in enumerate((claim.get("devices") or {}).get("requests") or ()):
        if (request.get("exactly") or {}).get("adminAccess"):
            return f"spec.devices.requests[{number}].adminAccess"
    return ""


def _granted(status: Object) -> str:
    devices = (status.get("allocation") or {}).get("devices") or {}
    for number, result in enumerate(devices.get("results") or ()):
        if result.get("adminAccess"):
            return f"status.allocation.devices.results[{number}].adminAccess"
    return ""


def _changed_drivers(new: Object, old: Object) -> set[str]:
    """Drivers of which a device's status came, went or changed."""
    now, before = _by_device(new), _by_device(old)
    return {key[0] for key in now.keys() | before.keys() if not semantic_equal(now.get(key), before.get(key))}


def _by_device(status: Object) -> dict[tuple[str, str, str, str], Object]:
    found = status.get("devices") or ()
    return {(device["driver"], device["pool"], device["device"], device.get("shareID") or ""): device for device in found}


def _driver_verbs(asked: Attributes, allocation: Object) -> list[str]:
    """Any of which is enough. A service account on the node that the claim is allocated for has a verb of its own."""
    anywhere = f"arbitrary-node:{asked.verb}"
    node = _allocated_node(allocation)
    return [f"associated-node:{asked.verb}", anywhere] if node and _runs_on(asked.user, node) else [anywhere]


def _runs_on(user: User, node: str) -> bool:
    return split_service_account(user.name) is not None and tuple(user.extra.get(NODE_NAME, ())) == (node,)


def _allocated_node(allocation: Object) -> str:
    """The one node that the allocation's selector names, "" where it says anything else."""
    match (allocation.get("nodeSelector") or {}).get("nodeSelectorTerms"):
        case [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [str(node)]}], **rest}] if not rest.get(
            "matchExpressions"
        ):
            return node
    return ""
