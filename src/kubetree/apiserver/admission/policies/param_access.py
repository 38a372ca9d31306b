"""Who configures a policy must be able to read what parameterizes it: else a policy's answers would tell what its author may not see.

Runs whichever plugins are enabled; upstream does this in the strategies of policies and bindings
(pkg/registry/admissionregistration/*/authz.go), and so as the last part of validation.
"""

from __future__ import annotations

from typing import Any

from kubetree.api.errors import NotFound, invalid
from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kinds
from kubetree.api.validation.errors import forbidden
from kubetree.apiserver.admission.plugin import Plugin
from kubetree.apiserver.admission.request import CREATE, UPDATE, AdmissionRequest
from kubetree.apiserver.authentication.live_objects import Reader
from kubetree.apiserver.authentication.user import MASTERS_GROUP, User
from kubetree.apiserver.authorization.attributes import Attributes, Authorizer, Decision

Object = dict[str, Any]
_GROUP = "admissionregistration.k8s.io"
_POLICIES = {"validatingadmissionpolicies": "ValidatingAdmissionPolicy", "mutatingadmissionpolicies": "MutatingAdmissionPolicy"}
_BINDINGS = {"validatingadmissionpolicybindings": "ValidatingAdmissionPolicy", "mutatingadmissionpolicybindings": "MutatingAdmissionPolicy"}


class ParameterAccess(Plugin):
    name = "ParameterAccess"
    operations = frozenset({CREATE, UPDATE})
    resources = frozenset(f"{plural}.{_GROUP}" for plural in (*_POLICIES, *_BINDINGS))
    validates = True

    def __init__(self, authorizer: Authorizer, kinds: Kinds, reader: Reader) -> None:
        self._authorizer, self._kinds, self._reader = authorizer, kinds, reader

    async def validate(self, request: AdmissionRequest) -> None:
        if request.obj is None or MASTERS_GROUP in request.user.groups:
            return
        new, old = request.obj.get("spec") or {}, (request.old or {}).get("spec") or {}
        if request.kind.plural in _POLICIES:
            self._check_policy(request, new, old)
        else:
            await self._check_binding(request, new)

    def _check_policy(self, request: AdmissionRequest, new: Object, old: Object) -> None:
        wanted = new.get("paramKind")
        if wanted is None or wanted == old.get("paramKind"):
            return
        group, version, resource = self._resource(wanted)
        if not self._allowed(request.user, "get", group, version, resource, "*", "*"):
            named = f"(kind={wanted.get('kind', '')}, apiVersion={wanted.get('apiVersion', '')})"
            why = f'user {shown(request.user)} must have "get" permission on all objects of the referenced paramKind {named}'
            raise _refused(request, "spec.paramKind", why)

    async def _check_binding(self, request: AdmissionRequest, new: Object) -> None:
        wanted = new.get("paramRef")
        if wanted is None:
            return
        policy_name = new.get("policyName") or ""
        param_kind: Object | None = None
        found = True
        try:
            policy = await self._reader.get(kind(f"{_GROUP}/v1", _BINDINGS[request.kind.plural]), "", policy_name)
            param_kind = (policy.get("spec") or {}).get("paramKind")
        except NotFound:
            found = False
        group, version, resource = self._resource(param_kind) if param_kind is not None else ("*", "*", "*")
        verb = "get" if wanted.get("name") else "list"
        namespace, name = wanted.get("namespace") or "", wanted.get("name") or ""
        if self._allowed(request.user, verb, group, version, resource, namespace, name):
            return
        user = shown(request.user)
        everything = f'user {user} does not have "{verb}" permission for all groups, versions and resources'
        if not found:
            why = f"unable to get policy {policy_name} to determine minimum required permissions and {everything}"
        elif param_kind is not None and resource == "*":
            given = f"&{{{param_kind.get('apiVersion', '')} {param_kind.get('kind', '')}}}"
            why = f"unable to resolve paramKind {given} to determine minimum required permissions and {everything}"
        else:
            # upstream has the words the wrong way round for mutating policies
            who, what = (verb, user) if request.kind.plural.startswith("mutating") else (user, verb)
            why = f'user {who} does not have "{what}" permission on the object referenced by paramRef'
        raise _refused(request, "spec.paramRef", why)

    def _resource(self, param_kind: Object) -> tuple[str, str, str]:
        """Group, version and resource; `*` for what is not served."""
        api_version = param_kind.get("apiVersion") or ""
        group, _, version = api_version.rpartition("/")
        row = self._kinds.by_kind(api_version, param_kind.get("kind") or "")
        return group, version, row.plural if row is not None else "*"

    def _allowed(self, user: User, verb: str, group: str, version: str, resource: str, namespace: str, name: str) -> bool:
        """Raises AskElsewhere."""
        asked = Attributes(user, verb, group=group, version=version, resource=resource, namespace=namespace, name=name)
        return self._authorizer.authorize(asked).decision is Decision.ALLOW


def shown(user: User) -> str:
    """As Go prints a pointer to its struct."""
    extra = " ".join(f"{key}:[{' '.join(values)}]" for key, values in sorted(user.extra.items()))
    return f"&{{{user.name} {user.uid} [{' '.join(user.groups)}] map[{extra}]}}"


def _refused(request: AdmissionRequest, field: str, why: str) -> Exception:
    return invalid(request.kind.kind, request.kind.group, request.name, [forbidden(field, why).to_cause()])
