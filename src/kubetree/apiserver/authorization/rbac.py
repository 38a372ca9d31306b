"""RBAC: what roles and bindings allow, compiled per user and namespace until one of them changes.

Follows plugin/pkg/auth/authorizer/rbac and pkg/registry/rbac/validation. A decision that was asked before costs a few dictionary
look-ups; after a change of any role or binding only what is asked again is compiled again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from kubetree.api.kind_table import kind
from kubetree.api.kinds import Kind
from kubetree.apiserver.authentication.user import SERVICE_ACCOUNT_PREFIX, User
from kubetree.apiserver.authorization.attributes import Answer, Attributes, Decision
from kubetree.apiserver.authorization.rules import PolicyRule, Rules
from kubetree.apiserver.lister import Lister

_API = "rbac.authorization.k8s.io/v1"
ROLE, ROLE_BINDING = kind(_API, "Role"), kind(_API, "RoleBinding")
CLUSTER_ROLE, CLUSTER_ROLE_BINDING = kind(_API, "ClusterRole"), kind(_API, "ClusterRoleBinding")
_KINDS = (ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING)
_CACHE_LIMIT = 8192

Object = dict[str, Any]
NO_OPINION = Answer(Decision.NO_OPINION)


class RoleNotFound(Exception):
    """A binding refers to a role that does not exist."""


class Grant(NamedTuple):
    """A rule and the binding that gives it."""

    rule: PolicyRule
    source: str


class _Permissions:
    """All that one user may do in one namespace (or, without one, in the cluster)."""

    __slots__ = ("_paths", "_resources", "denial", "grants")

    def __init__(self, grants: Sequence[Grant], errors: Sequence[str]) -> None:
        self.grants = grants
        text = errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"
        self.denial = Answer(Decision.NO_OPINION, f"RBAC: {text}") if errors else NO_OPINION
        self._resources: dict[tuple[str, str, str, str], tuple[Answer | None, dict[str, Answer]]] = {}
        self._paths: dict[tuple[str, str], Answer] = {}

    def answer(self, asked: Attributes) -> Answer:
        if not asked.resource:
            return self._path(asked.verb, asked.path)
        key = (asked.verb, asked.group, asked.resource, asked.subresource)
        found = self._resources.get(key)
        if found is None:
            if len(self._resources) >= _CACHE_LIMIT:
                self._resources.clear()
            found = self._resources[key] = self._compile(*key)
        always, by_name = found
        return always or by_name.get(asked.name, self.denial)

    def _compile(self, verb: str, group: str, resource: str, subresource: str) -> tuple[Answer | None, dict[str, Answer]]:
        by_name: dict[str, Answer] = {}
        for rule, source in self.grants:
            if rule.matches_resource(verb, group, resource, subresource):
                allowed = Answer(Decision.ALLOW, f"RBAC: allowed by {source}")
                if not rule.names:
                    return allowed, by_name
                for name in rule.names:
                    by_name.setdefault(name, allowed)
        return None, by_name

    def _path(self, verb: str, path: str) -> Answer:
        found = self._paths.get((verb, path))
        if found is None:
            sources = (source for rule, source in self.grants if rule.matches_path(verb, path))
            source = next(sources, None)
            found = self.denial if source is None else Answer(Decision.ALLOW, f"RBAC: allowed by {source}")
            if len(self._paths) >= _CACHE_LIMIT:
                self._paths.clear()
            self._paths[verb, path] = found
        return found


class RBAC:
    def __init__(self, lister: Lister) -> None:
        self._lister = lister
        self._generation: tuple[int, ...] = ()
        self._permissions: dict[tuple[str, tuple[str, ...], str], _Permissions] = {}
        self._cluster_bindings: dict[str, list[tuple[Object, Object]]] = {}
        self._compiled: dict[tuple[str, str], tuple[object, tuple[PolicyRule, ...]]] = {}

    def authorize(self, attributes: Attributes) -> Answer:
        return self._of(attributes.user, attributes.namespace).answer(attributes)

    def grants(self, user: User, namespace: str) -> Sequence[Grant]:
        """Every rule that applies to the user in the namespace ('' for the cluster), cluster role bindings first."""
        return self._of(user, namespace).grants

    def rules_of(self, user: User, namespace: str) -> Rules:
        return Rules([rule for rule, _ in self.grants(user, namespace)], error=self.errors(user, namespace))

    def errors(self, user: User, namespace: str) -> str:
        """What went wrong while finding the rules, '' if nothing did."""
        return self._of(user, namespace).denial.reason.removeprefix("RBAC: ")

    def role_rules(self, reference: Object, namespace: str) -> tuple[PolicyRule, ...]:
        """The rules of a roleRef. Raises RoleNotFound."""
        row = ROLE if reference["kind"] == "Role" else CLUSTER_ROLE
        name = reference["name"]
        role = self._lister.get(row, namespace if row is ROLE else "", name)
        if role is None:
            raise RoleNotFound(f'{row.kind.lower()}.rbac.authorization.k8s.io "{name}" not found')
        key = (namespace if row is ROLE else "/", name)
        version = role["metadata"].get("resourceVersion"), role["metadata"].get("uid")
        known = self._compiled.get(key)
        if known is None or known[0] != version:
            if len(self._compiled) >= _CACHE_LIMIT:
                self._compiled.clear()
            known = self._compiled[key] = (version, tuple(PolicyRule.of(rule) for rule in role.get("rules") or ()))
        return known[1]

    def _of(self, user: User, namespace: str) -> _Permissions:
        generation = self._lister.generation
        now = (generation(ROLE), generation(ROLE_BINDING), generation(CLUSTER_ROLE), generation(CLUSTER_ROLE_BINDING))
        if now != self._generation:
            self._generation = now
            self._permissions.clear()
            self._cluster_bindings = _by_subject(self._lister.list(CLUSTER_ROLE_BINDING))
        key = (user.name, user.groups, namespace)
        found = self._permissions.get(key)
        if found is None:
            if len(self._permissions) >= _CACHE_LIMIT:
                self._permissions.clear()
            found = self._permissions[key] = self._compile(user, namespace)
        return found

    def _compile(self, user: User, namespace: str) -> _Permissions:
        grants: list[Grant] = []
        errors: list[str] = []
        for binding, subject in self._bindings(user, namespace):
            at = binding["metadata"].get("namespace", "")
            try:
                rules = self.role_rules(binding["roleRef"], at)
            except RoleNotFound as error:
                errors.append(str(error))
                continue
            source = _describe(binding, subject, at)
            grants += [Grant(rule, source) for rule in rules]
        return _Permissions(grants, errors)

    def _bindings(self, user: User, namespace: str) -> Iterator[tuple[Object, Object]]:
        """Every binding that applies, once, with the first of its subjects that does."""
        keys = [f"User:{user.name}", *(f"Group:{group}" for group in user.groups)]
        cluster = [pair for key in keys for pair in self._cluster_bindings.get(key, ())]
        yield from {id(binding): (binding, subject) for binding, subject in reversed(cluster)}.values()
        if not namespace:
            return
        for binding in self._lister.list(ROLE_BINDING, namespace):
            subject = next((s for s in binding.get("subjects") or () if _applies(s, user, namespace)), None)
            if subject is not None:
                yield binding, subject


def _by_subject(bindings: Sequence[Object]) -> dict[str, list[tuple[Object, Object]]]:
    """`User:name` and `Group:name` to bindings; a service account is the user that it authenticates as."""
    index: dict[str, list[tuple[Object, Object]]] = {}
    for binding in bindings:
        for subject in binding.get("subjects") or ():
            key = f"{subject['kind']}:{subject['name']}"
            if subject["kind"] == "ServiceAccount":
                if not subject.get("namespace"):
                    continue
                key = f"User:{SERVICE_ACCOUNT_PREFIX}{subject['namespace']}:{subject['name']}"
            index.setdefault(key, []).append((binding, subject))
    return index


def _applies(subject: Object, user: User, namespace: str) -> bool:
    match subject["kind"]:
        case "User":
            return bool(subject["name"] == user.name)
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            return user.name == f"{SERVICE_ACCOUNT_PREFIX}{subject.get('namespace') or namespace}:{subject['name']}"
    return False


def _describe(binding: Object, subject: Object, namespace: str) -> str:
    who = subject["name"]
    if subject["kind"] == "ServiceAccount":
        who = f"{who}/{subject.get('namespace') or namespace}"
    row: Kind = ROLE_BINDING if namespace else CLUSTER_ROLE_BINDING
    name, role = binding["metadata"]["name"], binding["roleRef"]
    name = f"{name}/{namespace}" if namespace else name
    return f'{row.kind} "{name}" of {role["kind"]} "{role["name"]}" to {subject["kind"]} "{who}"'
