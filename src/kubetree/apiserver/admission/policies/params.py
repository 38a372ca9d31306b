"""The objects that parameterize a policy: by name or by labels, from the watch cache of their kind.

Follows CollectParams of admission/plugin/policy/generic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubetree.api.kinds import Kind, Kinds
from kubetree.api.objects import labels
from kubetree.api.selectors import label_selector
from kubetree.apiserver.admission.matching.versions import Convert
from kubetree.apiserver.admission.policies.definitions import ParamKind
from kubetree.apiserver.lister import Lister

Object = dict[str, Any]


class BadConfiguration(Exception):
    """A policy or binding that cannot be carried out as it stands."""


class Params:
    """Finds what policies are evaluated with, in the watch cache."""

    def __init__(self, lister: Lister, kinds: Kinds, convert: Convert) -> None:
        self._lister, self._kinds, self._convert = lister, kinds, convert

    def row(self, wanted: ParamKind | None) -> Kind | None:
        """Raises BadConfiguration for a kind that is not served."""
        if wanted is None:
            return None
        row = self._kinds.by_kind(wanted.api_version, wanted.kind)
        if row is None or not row.stored:
            raise BadConfiguration(f"failed to find resource referenced by paramKind: '{wanted.shown}'")
        return row

    async def of(self, row: Kind | None, reference: Object | None, namespace: str) -> Sequence[Object | None]:
        """What the policy is evaluated with, once for each: a single None where there are no parameters to have, nothing where they are
        lacking and that is allowed. `namespace` is the request's. Raises BadConfiguration."""
        if row is None or reference is None:
            return (None,)
        found = self._selected(row, reference, self._namespace(row, reference, namespace))
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            raise BadConfiguration("no params found for policy binding with `Deny` parameterNotFoundAction")
        return [await self._convert(obj, row.api_version) for obj in found]

    def _namespace(self, row: Kind, reference: Object, namespace: str) -> str:
        given: str = reference.get("namespace") or ""
        if not row.namespaced:
            if given:
                raise BadConfiguration("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
            return ""
        if not given and not namespace:
            raise BadConfiguration("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
        return given or namespace

    def _selected(self, row: Kind, reference: Object, namespace: str) -> list[Object]:
        if reference.get("name"):
            found = self._lister.get(row, namespace, reference["name"])
            return [found] if found is not None else []
        if reference.get("selector") is None:
            raise BadConfiguration("one of name or selector must be provided")
        wanted = label_selector(reference["selector"])
        return [obj for obj in self._lister.list(row, namespace) if wanted.matches(labels(obj))]
