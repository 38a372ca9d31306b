"""Hooks and policies that cannot want a request are not even looked at."""

from __future__ import annotations

from typing import Any

from kubetree.api.kinds import Kind, Kinds
from kubetree.apiserver.admission.matching.candidates import Candidates, Interest
from kubetree.apiserver.admission.matching.rules import rules
from kubetree.apiserver.admission.matching.targets import Equivalents
from kubetree.apiserver.admission.request import AdmissionRequest
from kubetree.apiserver.authentication.user import User

V1 = Kind("example.com", "v1", "Widget", "widgets", registry="example.com/widgets")
V2 = Kind("example.com", "v2", "Widget", "widgets", registry="example.com/widgets")
POD = Kind("", "v1", "Pod", "pods")


def rule(*resources: str, versions: tuple[str, ...] = ("*",), **more: Any) -> dict[str, Any]:
    return {"operations": ["CREATE"], "apiGroups": ["*"], "apiVersions": list(versions), "resources": list(resources), **more}


class Entries:
    """Entries are numbers; `asked` counts how often one was looked at."""

    def __init__(self, kinds: Kinds, *interests: Interest) -> None:
        self.asked = 0
        self._interests = interests
        self.entries = tuple(range(len(interests)))
        self.candidates = Candidates(Equivalents(kinds), self._interest)

    def _interest(self, entry: int) -> Interest:
        self.asked += 1
        return self._interests[entry]

    def of(self, row: Kind, operation: str = "CREATE", subresource: str = "") -> list[int]:
        request = AdmissionRequest(operation, row, subresource, "default", "x", {}, None, User("someone"))
        return [entry for _, entry in self.candidates.of(self.entries, request)]


def of(*given: dict[str, Any], equivalent: bool = False) -> Interest:
    return rules(given), equivalent


def test_rules_of_other_requests_are_left_out() -> None:
    entries = Entries(Kinds([POD, V1]), of(rule("pods")), of(rule("widgets")), of(rule("*/*")), of(), None)
    assert entries.of(POD) == [0, 2, 4]
    assert entries.of(V1) == [1, 2, 4]
    assert entries.of(POD, "DELETE") == [4]
    assert entries.of(POD, "CREATE", "binding") == [2, 4]


def test_scopes_and_names_are_not_judged() -> None:
    entries = Entries(Kinds([POD]), of(rule("pods", scope="Cluster")), of(rule("pods", resourceNames=["other"])))
    assert entries.of(POD) == [0, 1]


def test_what_was_found_is_kept_until_entries_or_kinds_change() -> None:
    kinds = Kinds([POD, V1])
    entries = Entries(kinds, of(rule("widgets", versions=("v2",)), equivalent=True), of(rule("widgets", versions=("v2",))))
    assert entries.of(V1) == entries.of(V1) == []
    assert entries.asked == 2
    kinds.add(V2)
    assert entries.of(V1) == [0]
    assert entries.of(V2) == [0, 1]
    entries.entries = (1,)
    assert entries.of(V1) == []
    entries.entries = ()
    assert entries.of(V1) == []


def test_places_are_those_among_all() -> None:
    entries = Entries(Kinds([POD]), of(rule("widgets")), of(rule("pods")))
    request = AdmissionRequest("CREATE", POD, "", "default", "x", {}, None, User("someone"))
    assert entries.candidates.of(entries.entries, request) == ((1, 1),)
