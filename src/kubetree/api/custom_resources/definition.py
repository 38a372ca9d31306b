"""A CustomResourceDefinition compiled: one row of the table of kinds a version, and how objects of each version behave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from typing import Any, Protocol, TypeVar

import orjson

from kubetree.api.apply.compile_types import custom_type
from kubetree.api.apply.types import Type
from kubetree.api.custom_resources.columns import Columns, go_text
from kubetree.api.custom_resources.correlation import Correlated
from kubetree.api.custom_resources.defaulting import apply_defaults, prune_defaults
from kubetree.api.custom_resources.embedded import coerce_embedded, validate_embedded
from kubetree.api.custom_resources.json_path import compile_path
from kubetree.api.custom_resources.lists import validate_lists
from kubetree.api.custom_resources.pruning import prune
from kubetree.api.custom_resources.rules import RuleTree, rule_tree
from kubetree.api.custom_resources.scale import ScalePaths
from kubetree.api.custom_resources.structure import Node
from kubetree.api.custom_resources.values import Values
from kubetree.api.custom_resources.versions import deprecation_warning
from kubetree.api.kinds import SCALE, STATUS, Kind
from kubetree.api.objects import has_condition
from kubetree.api.schema.decode import check_custom, decode_custom, stored_object_meta
from kubetree.api.validation.custom_resources.structural import structural
from kubetree.api.validation.errors import (
    INVALID,
    NOT_SUPPORTED,
    REQUIRED,
    TOO_LONG,
    TOO_MANY,
    TYPE_INVALID,
    Errors,
    FieldError,
    invalid,
    quote,
)  # fmt: skip
from kubetree.api.validation.metadata import STANDARD_FINALIZERS, object_meta_update
from kubetree.api.validation.metadata import object_meta as validate_object_meta
from kubetree.api.validation.names import dns_subdomain, label_key

Object = dict[str, Any]
T = TypeVar("T")
VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
TERMINATING_VERBS = ("delete", "deletecollection", "get", "list", "watch")
_REMEMBERED = 256
_NEVER: Any = object()
_BLOCKING = frozenset({NOT_SUPPORTED, REQUIRED, TOO_LONG, TOO_MANY, TYPE_INVALID})
"""Errors after which rules are not tried: what they would say of such an object is worth little."""


class Meter(Protocol):
    """Takes the time of what it runs."""

    def compiled(self, compile: Callable[[], T]) -> T: ...

    def evaluated(self, evaluate: Callable[[], T]) -> T: ...


class Unmetered:
    def compiled(self, compile: Callable[[], T]) -> T:
        return compile()

    def evaluated(self, evaluate: Callable[[], T]) -> T:
        return evaluate()


class Definition:
    """`crd` is shared: never changed here. `rows` are the kinds of all its versions by name, the served ones in `served`. `meter` is told
    of the compilation and evaluation of rules."""

    def __init__(self, crd: Object, meter: Meter | None = None) -> None:
        self.meter = meter or Unmetered()
        self.crd, spec = crd, crd["spec"]
        self.name: str = crd["metadata"]["name"]
        self.uid: str = crd["metadata"].get("uid") or ""
        self.spec: Object = spec
        self.names: Object = (crd.get("status") or {}).get("acceptedNames") or {}
        self.group: str = spec["group"]
        self.terminating = has_condition(crd, "Terminating")
        self.preserve = bool(spec.get("preserveUnknownFields"))
        conversion = spec.get("conversion") or {}
        self.webhook: Object | None = conversion.get("webhook") if conversion.get("strategy") == "Webhook" else None
        versions: list[Object] = spec["versions"]
        self.storage_version: str = next((v["name"] for v in versions if v.get("storage")), versions[0]["name"])
        self.stored_versions: list[str] = (crd.get("status") or {}).get("storedVersions") or []
        self.versions = {v["name"]: Version(self, v) for v in versions}
        self.selectable = {label: path for version in self.versions.values() for label, path in version.selectable.items()}
        self.written: dict[bytes, None] = {}
        """Values on their way to the store, the newest last."""
        self.rows = {name: self._row(version) for name, version in self.versions.items()}
        self.served = [self.rows[v["name"]] for v in versions if v.get("served")]

    def _row(self, version: Version) -> Kind:
        names, subresources = self.names, version.subresources
        subs = tuple(row for row, name in ((SCALE, "scale"), (STATUS, "status")) if subresources.get(name) is not None)
        return Kind(
            self.group,
            version.name,
            names.get("kind") or "",
            names.get("plural") or "",
            names.get("singular") or "",
            self.spec.get("scope") == "Namespaced",
            TERMINATING_VERBS if self.terminating else VERBS,
            tuple(names.get("shortNames") or ()),
            tuple(names.get("categories") or ()),
            subs,
            f"{self.group}/{names.get('plural') or ''}",
            f"{self.group}/{self.storage_version}",
            version,
        )

    @property
    def storage(self) -> Kind:
        return self.rows[self.storage_version]

    def same_serving(self, other: Definition) -> bool:
        """Whether objects are served just alike, so that caches and watches may go on."""
        return self.uid == other.uid and self.spec == other.spec and self.names == other.names

    def at(self, api_version: str) -> Version | None:
        group, _, version = api_version.rpartition("/")
        return self.versions.get(version) if group == self.group else None

    def canonical(self, obj: Object) -> Object:
        """An object from the store as the schema of its version has it now, in the storage version where that needs no webhook.

        In place. Follows the decoding of stored objects upstream: malformed metadata goes, unknown fields are pruned, defaults fill in.
        """
        metadata = obj["metadata"]
        if not metadata.get("generation"):
            metadata["generation"] = 1
        version = self.at(obj.get("apiVersion") or "")
        if version is None:
            return obj
        version.coerce(obj, stored=True)
        version.default(obj)
        return obj if self.webhook is not None else self.convert_plainly(obj, self.storage_version)

    def convert_plainly(self, obj: Object, version: str) -> Object:
        """Strategy None: another apiVersion, and what the other version's schema does not know is gone. May change `obj`."""
        api_version = f"{self.group}/{version}"
        if obj.get("apiVersion") == api_version:
            return obj
        obj["apiVersion"] = api_version
        self.versions[version].coerce(obj)
        return obj


class Version:
    """A version of a custom resource: kinds.Behaviour. Schemas are compiled when they are first needed."""

    def __init__(self, definition: Definition, version: Object) -> None:
        self.definition, self._version = definition, version
        self.name: str = version["name"]
        self.schema: Object | None = (version.get("schema") or {}).get("openAPIV3Schema")
        self.subresources: Object = version.get("subresources") or {}
        self.api_version = f"{definition.group}/{self.name}"
        self.kind: str = definition.names.get("kind") or ""
        self.list_kind: str = definition.names.get("listKind") or self.kind + "List"
        self.namespaced = definition.spec.get("scope") == "Namespaced"
        self.deprecation = deprecation_warning(definition.spec, version) if version.get("deprecated") else ""
        self._ratcheted: list[str] = []
        scale = self.subresources.get("scale")
        self.scale = ScalePaths(scale) if scale is not None else None
        self.selectable = {
            field["jsonPath"].removeprefix("."): compile_path(field["jsonPath"]) for field in version.get("selectableFields") or ()
        }

    # compiled parts

    @cached_property
    def node(self) -> Node | None:
        if self.schema is None:
            return None
        node = Node(self.schema)
        prune_defaults(node)
        return node

    @cached_property
    def _status_default(self) -> bool:
        status = self.node.properties.get("status") if self.node is not None else None
        return status is not None and status.has_default and self.subresources.get("status") is not None

    @cached_property
    def values(self) -> Values:
        return Values(self.schema or {})

    @cached_property
    def _status_values(self) -> Values | None:
        return self.values.properties.get("status")

    @cached_property
    def _columns(self) -> Columns:
        return Columns(self._version.get("additionalPrinterColumns"))

    @cached_property
    def type(self) -> Type:
        """By the schema, unless it is from a time when schemas need not be structural."""
        return custom_type(self.schema if not self.definition.preserve or structural([], self.schema or {}, "") else None)

    # requests

    def decode(self, data: bytes, validation: str, faults: Sequence[str]) -> tuple[Object, list[str]]:
        return decode_custom(self.kind, self.name, data, validation, faults, self.coerce)

    def check(self, obj: Object, validation: str, faults: Sequence[str]) -> list[str]:
        return check_custom(obj, validation, faults, self.coerce)

    def coerce(self, obj: Object, *, stored: bool = False) -> list[str]:
        """Prunes and drops nulls in place; gives the paths of the fields that went, sorted. Other kinds are left alone.

        `stored`: an object from the store, whose malformed metadata is dropped instead of refused.
        """
        unknown: list[str] = []
        node = self.node
        if stored:
            obj["metadata"] = stored_object_meta(obj["metadata"])
        if obj.get("kind") != self.kind:
            return unknown
        if not self.definition.preserve:
            prune(obj, node, unknown.append)
            unknown.sort()
        if node is not None and node.below_embedded:
            more: list[str] = []
            coerce_embedded(obj, node, more.append, drop=stored)
            unknown += sorted(more)
        return unknown

    def default(self, obj: Object) -> None:
        if self.node is not None and obj.get("kind") == self.kind:
            apply_defaults(obj, self.node)

    def complete(self, obj: Object) -> None:
        if self._status_default:
            self.default(obj)

    def canonical(self, obj: Object) -> Object:
        return self.definition.canonical(obj)

    def wrote(self, value: bytes) -> None:
        written = self.definition.written
        written[value] = None
        if len(written) > _REMEMBERED:
            del written[next(iter(written))]

    def reread(self, value: bytes) -> Object | None:
        storage = self.definition.versions[self.definition.storage_version]
        if storage.node is None or not storage.node.below_defaults:
            return None
        return self.definition.canonical(orjson.loads(value))

    def has_written(self, value: bytes) -> bool:
        return self.definition.written.pop(value, _NEVER) is None

    # validation

    def validate_create(self, obj: Object) -> list[FieldError]:
        errs: Errors = []
        self._type_meta(errs, obj)
        if errs:
            return errs
        validate_object_meta(errs, obj["metadata"], self.namespaced, dns_subdomain)
        if not self.values.fits(obj):
            errs += self.values.faults(obj)
        if self.scale is not None:
            self.scale.validate_spec(errs, obj)
            self.scale.validate_status(errs, obj)
        if self.node is not None:
            validate_embedded(errs, obj, self.node)
            validate_lists(errs, obj, self.node)
        self._rules(errs, obj, None)
        return errs

    def validate_update(self, new: Object, old: Object, subresource: str) -> list[FieldError]:
        errs: Errors = []
        self._type_meta(errs, new)
        if errs:
            return errs
        object_meta_update(errs, new["metadata"], old["metadata"])
        correlated = Correlated(new, old, self.node)
        if subresource == "status":
            self._status(errs, new, correlated)
        else:
            if not self.values.fits(new):
                errs += self.values.faults(new, correlated=correlated if self.node is not None else None)
            if self.scale is not None:
                self.scale.validate_spec(errs, new)
        if self.scale is not None:
            self.scale.validate_status(errs, new)
        if self.node is not None:
            if subresource != "status":
                validate_embedded(errs, new, self.node)
            found: Errors = []
            validate_lists(found, new, self.node)
            if found:
                before: Errors = []
                validate_lists(before, old, self.node)
                errs += [] if before else found
        self._rules(errs, new, old, correlated)
        return errs

    def _status(self, errs: Errors, new: Object, correlated: Correlated) -> None:
        values = self._status_values
        if values is not None and "status" in new and not values.fits(new["status"]):
            errs += values.faults(new["status"], "status", correlated.key("status"))

    def _type_meta(self, errs: Errors, obj: Object) -> None:
        for name, wanted in (("kind", self.kind), ("apiVersion", self.api_version)):
            if obj.get(name) != wanted:
                errs.append(invalid(name, obj.get(name) or "", f"must be {wanted}"))

    @cached_property
    def _rule_tree(self) -> RuleTree | None:
        return self.definition.meter.compiled(partial(rule_tree, self.schema)) if self.schema is not None else None

    def _rules(self, errs: Errors, obj: Object, old: Object | None, correlated: Correlated | None = None) -> None:
        """`x-kubernetes-validations`."""
        tree = self._rule_tree
        if tree is None:
            return
        blocking = _blocked(errs)
        if blocking is not None:
            errs.append(blocking)
            return
        verdict = self.definition.meter.evaluated(partial(tree.judge, obj, old, "", correlated))
        errs += verdict.errors
        self._ratcheted = verdict.warnings

    def ratcheted(self) -> list[str]:
        found, self._ratcheted = self._ratcheted, []
        return found

    def warnings(self, obj: Object, old: Object | None, subresource: str) -> list[str]:
        finalizers = obj["metadata"].get("finalizers")
        if not finalizers or subresource:
            return []
        before = (old or {}).get("metadata", {}).get("finalizers") or ()
        return [text for name in sorted(set(finalizers) - set(before)) for text in _finalizer_warnings(name)]

    # reading

    def columns(self) -> list[Object]:
        return self._columns.definitions

    def cells(self, obj: Mapping[str, Any], now: datetime) -> list[Any]:
        return self._columns.cells(obj, now)

    def field_labels(self) -> Sequence[str]:
        return tuple(self.selectable)

    def fields(self, obj: Object) -> dict[str, str]:
        """Of all versions: a label is a path, so it means the same in each."""
        out = {}
        for name, find in self.definition.selectable.items():
            found = find(obj)
            out[name] = go_text(found[0]) if found and found[0] is not None else ""
        return out


def _finalizer_warnings(name: str) -> list[str]:
    at = f"metadata.finalizers: {quote(name)}"
    out = [f"{at}: {message}" for message in label_key(name)]
    if "/" not in name and name not in STANDARD_FINALIZERS:
        how = "finalizer name including a path (/)" if "." in name else "finalizer name"
        out.append(f"{at}: prefer a domain-qualified {how} to avoid accidental conflicts with other finalizer writers")
    return out


def _blocked(errs: Errors) -> FieldError | None:
    """Why rules are not tried; None when they may be."""
    if any(e.type in _BLOCKING for e in errs):
        detail = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"
        return FieldError(INVALID, "<nil>", None, detail)
    return None
