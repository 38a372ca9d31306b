"""OwnerReferencesPermissionEnforcement: who changes owners must be able to delete the object, who blocks an owner's deletion to
finalize the owner."""

from __future__ import annotations

from typing import Any

from kubetree.api.kinds import Kinds
from kubetree.apiserver.admission.plugin import ANY_SUBRESOURCE, Plugin, refusal
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authorization.attributes import Answer, Attributes, Authorizer, Decision

Object = dict[str, Any]


class OwnerReferencesPermissionEnforcement(Plugin):
    name = "OwnerReferencesPermissionEnforcement"
    operations = frozenset({CREATE, UPDATE})
    subresources = ANY_SUBRESOURCE
    validates = True

    def __init__(self, authorizer: Authorizer, kinds: Kinds) -> None:
        self._authorizer, self._kinds = authorizer, kinds

    async def validate(self, request: AdmissionRequest) -> None:
        row = request.kind
        if row.group_resource == "pods" and request.subresource == "status":
            return
        owners, before = _owners(request.obj), _owners(request.old)
        if owners == before:
            return
        if request.operation != CREATE:
            answer = self._ask(request, "delete", row.group, row.version, row.plural, request.subresource, request.namespace, request.name)
            if answer.decision is not Decision.ALLOW:
                raise refusal(request, f"cannot set an ownerRef on a resource you can't delete: {answer.reason}, <nil>")
        blocked = {owner.get("uid") for owner in before if owner.get("blockOwnerDeletion")}
        blocking = [owner for owner in owners if owner.get("blockOwnerDeletion") and owner.get("uid") not in blocked]
        if blocking and self._ask(request, "update", "*", "*", "*", "finalizers", "", "*").decision is not Decision.ALLOW:
            for owner in blocking:
                self._check_owner(request, owner)

    def _check_owner(self, request: AdmissionRequest, owner: Object) -> None:
        row = self._kinds.by_kind(owner.get("apiVersion", ""), owner.get("kind", ""))
        if row is None:
            named = f"APIVersion {owner.get('apiVersion', '')} Kind {owner.get('kind', '')}"
            raise refusal(request, f"cannot set blockOwnerDeletion in this case because cannot find RESTMapping for {named}")
        namespace = request.namespace if row.namespaced else ""
        answer = self._ask(request, "update", row.group, row.version, row.plural, "finalizers", namespace, owner.get("name", ""))
        if answer.decision is not Decision.ALLOW:
            why = f"an ownerReference refers to a resource you can't set finalizers on: {answer.reason}, <nil>"
            raise refusal(request, f"cannot set blockOwnerDeletion if {why}")

    def _ask(
        self, request: AdmissionRequest, verb: str, group: str, version: str, resource: str, subresource: str, namespace: str, name: str
    ) -> Answer:
        return self._authorizer.authorize(Attributes(request.user, verb, "", group, version, resource, subresource, namespace, name))


def _owners(obj: Object | None) -> list[Object]:
    return list(((obj or {}).get("metadata") or {}).get("ownerReferences") or ())
