"""Writes of roles and bindings pass the escalation checks, whichever plugins are enabled: upstream does this in their storage."""

from __future__ import annotations

from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authorization.escalation import EscalationCheck

_ROLES, _BINDINGS = ("roles", "clusterroles"), ("rolebindings", "clusterrolebindings")


class RBACEscalation(Plugin):
    name = "RBACEscalation"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset(f"{plural}.rbac.authorization.k8s.io" for plural in _ROLES + _BINDINGS)
    validates = True

    def __init__(self, check: EscalationCheck) -> None:
        self._check = check

    async def validate(self, request: AdmissionRequest) -> None:
        if request.obj is None:
            return
        namespace = request.namespace if request.kind.namespaced else ""
        if request.kind.plural in _ROLES:
            self._check.check_role(request.kind, request.user, namespace, request.name, request.obj, request.old)
        else:
            self._check.check_binding(request.kind, request.user, namespace, request.obj, request.old)
