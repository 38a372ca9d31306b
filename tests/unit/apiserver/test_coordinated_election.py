"""Elections among LeaseCandidates: who is asked whether they are there, who is elected, and what becomes of the lease."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubetree.api.errors import NotFound
from kubetree.api.times import format_micro_time
from kubetree.apiserver.coordinated_election.controller import CANDIDATE, LEASE, CoordinatedElection
from kubetree.apiserver.coordinated_election.election import Disagreement, Elected, Ping, election, gone, strategy, with_elected
from kubetree.client.leader_election import Timing
from listed_objects import ListedObjects

Object = dict[str, Any]
NOW = datetime(2026, 5, 1, tzinfo=UTC)
OLDEST = "OldestEmulationVersion"


def ago(seconds: float) -> str:
    return format_micro_time(NOW - timedelta(seconds=seconds))


def candidate(
    name: str, binary: str = "1.20.0", emulated: str = "", *, renewed: float | None = 1, pinged: float | None = None, wants: str = OLDEST
) -> Object:
    times = {field: ago(at) for field, at in (("renewTime", renewed), ("pingTime", pinged)) if at is not None}
    versions = {"binaryVersion": binary, "emulationVersion": emulated or binary}
    return {
        "apiVersion": CANDIDATE.api_version,
        "kind": CANDIDATE.kind,
        "metadata": {"name": name, "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"leaseName": "l", "strategy": wants, **versions, **times},
    }


def lease(holder: str = "", renewed: float = 1, **spec: Any) -> Object:
    held = {"holderIdentity": holder} if holder else {}
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"name": "l", "namespace": "ns"},
        "spec": {**held, "leaseDurationSeconds": 5, "renewTime": ago(renewed), "strategy": OLDEST, **spec},
    }


A, OLD, B = candidate("a"), candidate("old", "1.20.0", "1.19.0"), candidate("b", "1.21.0")


@pytest.mark.parametrize(
    ("candidates", "held", "next_step"),
    [
        ([], None, None),
        ([A], None, Elected(OLDEST, "a")),
        ([A, B, OLD], None, Elected(OLDEST, "old")),
        ([candidate("n", "1.20.0", "1.20.0"), A], None, Elected(OLDEST, "n")),  # as old as the other: the first
        ([A], lease("a"), None),
        ([A], lease("other"), Elected(OLDEST, "a")),
        ([A], lease(), Elected(OLDEST, "a")),
        ([A, OLD], lease("a"), Elected(OLDEST, "old")),
        ([A], lease("a", renewed=6), Elected(OLDEST, "a")),
        # who has not renewed lately is asked, and has a while to answer
        ([candidate("a", renewed=10)], None, Ping(("a",))),
        ([candidate("a", renewed=10), OLD], None, Ping(("a",))),
        ([candidate("a", renewed=10, pinged=3), OLD], None, Ping(())),
        ([candidate("a", renewed=10, pinged=6), OLD], None, Elected(OLDEST, "old")),
        ([candidate("a", renewed=10, pinged=11)], None, Ping(("a",))),
        ([candidate("a", renewed=1, pinged=3)], None, Elected(OLDEST, "a")),
        # each quarter of an hour all are asked
        ([candidate("a", renewed=901)], lease("a"), Ping(("a",))),
        # the strategy is another's
        ([candidate("a", wants="x.com/y")], None, Elected("x.com/y", "")),
        ([candidate("a", wants="x.com/y")], lease("b"), None),
        ([A, candidate("b", "1.21.0", wants="x.com/y")], None, Elected("x.com/y", "")),
    ],
)
def test_the_next_step(candidates: list[Object], held: Object | None, next_step: object) -> None:
    assert election(candidates, held, NOW) == next_step


def test_without_an_answer_nobody_is_elected() -> None:
    with pytest.raises(Disagreement, match="no available candidates"):
        election([candidate("a", renewed=10, pinged=6)], None, NOW)
    with pytest.raises(Disagreement, match=r'candidates "a", "c" at same binary version but received differing strategies'):
        strategy([A, candidate("c", wants="x.com/y")])


def test_who_is_silent_for_half_an_hour_is_gone() -> None:
    assert not gone(candidate("a", renewed=1799), NOW)
    assert gone(candidate("a", renewed=1801), NOW) and gone(candidate("a", renewed=None), NOW)


def test_a_holder_that_renews_is_asked_to_give_way() -> None:
    told = with_elected(lease("a"), Elected(OLDEST, "old"), NOW)
    assert told is not None and (told["spec"]["holderIdentity"], told["spec"]["preferredHolder"]) == ("a", "old")
    assert with_elected(told, Elected(OLDEST, "old"), NOW) is None
    late = lease("a", renewed=6, preferredHolder="old", acquireTime=ago(9))
    assert with_elected(late, Elected(OLDEST, "old"), NOW) == lease("old", renewed=0)
    assert with_elected(lease(), Elected(OLDEST, "a"), NOW) == lease("a", renewed=0)
    changed = with_elected(lease("a"), Elected("x.com/y", ""), NOW)
    assert changed is not None and changed["spec"] == lease("a")["spec"] | {"strategy": "x.com/y"}


async def test_an_election_from_its_beginning() -> None:
    objects = ListedObjects(candidate("a", renewed=10), candidate("old", "1.20.0", "1.19.0", renewed=10), candidate("dead", renewed=2000))
    held = CoordinatedElection(objects, objects.cached(), (), lambda: NOW, "me", Timing())
    await held.elect()
    assert {each["spec"].get("pingTime") for each in objects.of(CANDIDATE)} == {ago(0), None}
    await held.elect()
    with pytest.raises(NotFound):
        await objects.get(LEASE, "ns", "l")
    for name in ("a", "old"):
        await objects.update(CANDIDATE, "ns", name, lambda each: {**each, "spec": each["spec"] | {"renewTime": ago(0)}})
    await held.elect()
    assert (await objects.get(LEASE, "ns", "l"))["spec"] == lease("old", renewed=0)["spec"]
    await held.collect()
    assert {each["metadata"]["name"] for each in objects.of(CANDIDATE)} == {"a", "old"}
