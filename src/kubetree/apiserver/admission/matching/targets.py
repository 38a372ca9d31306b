"""A resource at a version and the kind of its objects there, and which others are the same objects under another name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kubetree.api.kinds import Kind, Kinds
from kubetree.apiserver.admission.matching.rules import Asked, Rule
from kubetree.apiserver.admission.request import AdmissionRequest


class GroupVersionKind(NamedTuple):
    """As AdmissionReviews have it."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.group}/{self.version}, Kind={self.kind}"

    def to_dict(self) -> dict[str, str]:
        return {"group": self.group, "version": self.version, "kind": self.kind}


@dataclass(frozen=True, slots=True)
class Target:
    """A resource at a version. `kind` is that of its objects, another than the row's for subresources like scale."""

    row: Kind
    subresource: str
    kind: GroupVersionKind

    def asked(self, request: AdmissionRequest) -> Asked:
        row = self.row
        return Asked(request.operation, row.group, row.version, row.plural, self.subresource, request.namespace, request.name)

    def resource(self) -> dict[str, str]:
        return {"group": self.row.group, "version": self.row.version, "resource": self.row.plural}


def target(row: Kind, subresource: str) -> Target:
    """Subresources such as scale and exec have objects of another kind than their parent."""
    sub = row.subresource(subresource) if subresource else None
    if sub is None or not sub.kind:
        return Target(row, subresource, GroupVersionKind(row.group, row.version, row.kind))
    group, version = (sub.group, sub.version) if sub.version else (row.group, row.version)
    return Target(row, subresource, GroupVersionKind(group, version, sub.kind))


class Equivalents:
    """What serves the same stored objects, a resource itself before other versions and groups: upstream's EquivalentResourceRegistry,
    which goes by storage key."""

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds
        self._known: dict[tuple[str, str, str, str], tuple[Target, ...]] = {}
        kinds.on_change(self._known.clear)

    def of(self, row: Kind, subresource: str) -> tuple[Target, ...]:
        key = row.group, row.version, row.plural, subresource
        found = self._known.get(key)
        if found is None:
            same = [
                other for other in self.kinds if other.prefix == row.prefix and (other.group, other.version) != (row.group, row.version)
            ]
            others = (target(o, subresource) for o in same if not subresource or o.subresource(subresource) is not None)
            found = self._known[key] = (target(row, subresource), *others)
        return found

    def itself(self, row: Kind, subresource: str) -> Target:
        return self.of(row, subresource)[0]


def chosen(rules: Sequence[Rule], request: AdmissionRequest, equivalents: Equivalents, *, equivalent: bool) -> Target | None:
    """The version at which one of the rules wants the request, the request's own before others; None when none wants it."""
    itself, *others = equivalents.of(request.kind, request.subresource)
    asked = itself.asked(request)
    for rule in rules:
        if rule.matches(asked):
            return itself
    if equivalent:
        for rule in rules if others else ():
            for other in others:
                if rule.matches(other.asked(request)):
                    return other
    return None
