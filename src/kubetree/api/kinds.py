"""What a kind is: one row of data. Verbs are generic functions over rows; custom resources add rows at run time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A row of discovery below a kind. `group`/`version` are those of `kind` where they differ from the parent's ('' = the parent's)."""

    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


STATUS = Subresource("status", "", "", "", ("get", "patch", "update"))
SCALE = Subresource("scale", "autoscaling", "v1", "Scale", ("get", "patch", "update"))


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind at one version, as discovery lists it."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str = ""
    namespaced: bool = True
    verbs: tuple[str, ...] = ALL_VERBS
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    registry: str = ""
    """The path below /registry/ where objects are stored, upstream's; the plural unless given."""
    storage_version: str = ""
    """`group/version` (or `v1`) that objects are stored in; this row's own unless given."""

    api_version: str = field(init=False, repr=False, compare=False)
    """`group/version`, or `v1`."""
    group_resource: str = field(init=False, repr=False, compare=False)
    """`deployments.apps`, or `pods`."""
    prefix: str = field(init=False, repr=False, compare=False)
    """The key prefix of every object of the kind, ending in a slash: /registry/pods/."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_version", f"{self.group}/{self.version}" if self.group else self.version)
        object.__setattr__(self, "group_resource", f"{self.plural}.{self.group}" if self.group else self.plural)
        object.__setattr__(self, "prefix", f"/registry/{self.registry or self.plural}/")

    @property
    def stored_as(self) -> str:
        return self.storage_version or self.api_version

    @property
    def singular_name(self) -> str:
        return self.singular or self.kind.lower()

    def key(self, namespace: str, name: str) -> str:
        return f"{self.prefix}{namespace}/{name}" if self.namespaced else f"{self.prefix}{name}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path: /apis/apps/v1/namespaces/ns/deployments/name/scale. Without a namespace: all namespaces."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            base += f"/namespaces/{namespace}"
        return "/".join(part for part in (base, self.plural, name, subresource) if part)

    def subresource(self, name: str) -> Subresource | None:
        return next((s for s in self.subresources if s.name == name), None)

    @property
    def stored(self) -> bool:
        """False for reviews, bindings and other kinds that are answered but never kept."""
        return "list" in self.verbs and self.plural != "componentstatuses"


class Kinds:
    """The table of served kinds, by URL and by group, version and kind. The API server adds rows for custom resources."""

    def __init__(self, rows: Iterable[Kind]) -> None:
        self._by_resource: dict[tuple[str, str, str], Kind] = {}
        self._by_kind: dict[tuple[str, str], Kind] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Kind) -> None:
        self._by_resource[row.group, row.version, row.plural] = row
        self._by_kind[row.api_version, row.kind] = row

    def remove(self, row: Kind) -> None:
        del self._by_resource[row.group, row.version, row.plural]
        del self._by_kind[row.api_version, row.kind]

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_resource.values())

    def by_resource(self, group: str, version: str, plural: str) -> Kind | None:
        return self._by_resource.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        """`by_kind("apps/v1", "Deployment")`."""
        return self._by_kind.get((api_version, kind))

    def preferred(self, group: str, plural: str) -> Kind | None:
        """The first-listed version of a resource, which is the preferred one."""
        return next((k for k in self if k.group == group and k.plural == plural), None)
