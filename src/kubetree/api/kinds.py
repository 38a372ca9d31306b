"""What a kind is: one row of data. Verbs are generic functions over rows; custom resources add rows at run time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from kubetree.api.apply.types import Type
    from kubetree.api.custom_resources.scale import ScalePaths
    from kubetree.api.validation.errors import FieldError

Object = dict[str, Any]
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


class Behaviour(Protocol):
    """What a row brings along instead of being looked up in the tables of built-in kinds: how a custom resource behaves at one version.

    The functions of `api` that take a row (`decode`, `apply_defaults`, `validate_create`, `columns`, ...) ask it first, so verbs and
    operations need not know. All of it is pure.
    """

    schema: Object | None
    """The `openAPIV3Schema`; None where every field is free."""
    deprecation: str
    """What every request is warned of; empty for most."""
    list_kind: str
    scale: ScalePaths | None
    """Where the scale subresource finds replicas; None without one."""

    @property
    def type(self) -> Type:
        """Whose fields managers own."""
        ...

    def decode(self, data: bytes, validation: str, faults: Sequence[str]) -> tuple[Object, list[str]]: ...

    def check(self, obj: Object, validation: str, faults: Sequence[str]) -> list[str]: ...

    def default(self, obj: Object) -> None: ...

    def complete(self, obj: Object) -> None:
        """Fills in what preparing an object for the store took away and a default gives back."""
        ...

    def canonical(self, obj: Object) -> Object:
        """An object from the store as the schema of now has it."""
        ...

    def wrote(self, value: bytes) -> None:
        """This value goes to the store: it is in the form of now, and needs no second look when it comes back from there."""
        ...

    def reread(self, value: bytes) -> Object | None:
        """What was written as `value`, as it is read back in the version it is stored in; None where that adds nothing."""
        ...

    def has_written(self, value: bytes) -> bool:
        """Whether `wrote` was told of the value; it is asked once."""
        ...

    def validate_create(self, obj: Object) -> list[FieldError]: ...

    def validate_update(self, new: Object, old: Object, subresource: str) -> list[FieldError]: ...

    def ratcheted(self) -> list[str]:
        """What the last `validate_update` found wrong and let through since it stood there before; told once."""
        ...

    def warnings(self, obj: Object, old: Object | None, subresource: str) -> list[str]: ...

    def columns(self) -> list[Object]: ...

    def cells(self, obj: Mapping[str, Any], now: datetime) -> list[Any]: ...

    def field_labels(self) -> Sequence[str]:
        """What field selectors may name besides name and namespace."""
        ...

    def fields(self, obj: Object) -> dict[str, str]:
        """The values of `field_labels` on an object."""
        ...


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
    behaviour: Behaviour | None = field(default=None, compare=False, repr=False)
    """None: a built-in kind."""
    optional: bool = False
    """Served only when --runtime-config asks for its version or for the resource."""
    gate: str = ""
    """The feature gate without which it is not served even then; '' for most."""

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
    """The table of served kinds, by URL and by group, version and kind. Rows come and go while the API server runs, with custom resources;
    who has made something of the rows is told by `on_change`."""

    def __init__(self, rows: Iterable[Kind]) -> None:
        self._by_resource: dict[tuple[str, str, str], Kind] = {}
        self._by_kind: dict[tuple[str, str], Kind] = {}
        self._listeners: list[Callable[[], None]] = []
        for row in rows:
            self._put(row)

    def on_change(self, listener: Callable[[], None]) -> None:
        """`listener` is called after every `add`, `remove` and `replace`, before anything else runs."""
        self._listeners.append(listener)

    def add(self, row: Kind) -> None:
        self.replace((), (row,))

    def remove(self, row: Kind) -> None:
        self.replace((row,), ())

    def replace(self, gone: Iterable[Kind], come: Iterable[Kind]) -> None:
        """Takes rows out and puts rows in as one change."""
        for row in gone:
            del self._by_resource[row.group, row.version, row.plural]
            if self._by_kind.get((row.api_version, row.kind)) is row:
                del self._by_kind[row.api_version, row.kind]
        for row in come:
            self._put(row)
        for listener in self._listeners:
            listener()

    def _put(self, row: Kind) -> None:
        self._by_resource[row.group, row.version, row.plural] = row
        self._by_kind[row.api_version, row.kind] = row

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


def go_type(group: str, kind: str) -> str:
    """The name of a kind's internal type in upstream's messages: `core.Pod`, `apps.Deployment`."""
    if "." in group and not group.endswith(".k8s.io"):
        return "unstructured.Unstructured"
    return f"{'core' if not group or kind == 'Event' else group.partition('.')[0]}.{kind}"
