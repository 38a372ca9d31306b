"""Which hooks or policies could want a request at all: found once for an operation, a resource and a subresource.

Most requests concern few of those that are configured; the others must not cost a look each. Selectors, scopes and names are not
looked at here, so what is left out is wanted by nobody, and what is left in is still to be matched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from kubetree.apiserver.admission.matching.rules import Rule
from kubetree.apiserver.admission.matching.targets import Equivalents
from kubetree.apiserver.admission.request import AdmissionRequest

T = TypeVar("T")
Interest = tuple[Sequence[Rule], bool] | None
"""Rules, and whether they speak of equivalent resources too; None for what may want anything."""
_Key = tuple[str, str, str, str]


class Candidates(Generic[T]):
    """`interest` of one entry must not change while the entry stands."""

    def __init__(self, equivalents: Equivalents, interest: Callable[[T], Interest]) -> None:
        self._equivalents, self._interest = equivalents, interest
        self._all: tuple[T, ...] = ()
        self._found: dict[_Key, tuple[tuple[int, T], ...]] = {}
        equivalents.kinds.on_change(self._found.clear)

    def of(self, entries: tuple[T, ...], request: AdmissionRequest) -> tuple[tuple[int, T], ...]:
        """In their order, each with its place among all entries."""
        if not entries:
            return ()
        if entries is not self._all:
            self._all = entries
            self._found.clear()
        row = request.kind
        key = request.operation, row.group_resource, row.version, request.subresource
        found = self._found.get(key)
        if found is None:
            found = tuple(pair for pair in enumerate(entries) if self._could_want(pair[1], request))
            self._found[key] = found
        return found

    def _could_want(self, entry: T, request: AdmissionRequest) -> bool:
        interest = self._interest(entry)
        if interest is None:
            return True
        rules, equivalent = interest
        known = self._equivalents.of(request.kind, request.subresource)
        asked = [each.asked(request) for each in (known if equivalent else known[:1])]
        return any(rule.concerns(each) for rule in rules for each in asked)
