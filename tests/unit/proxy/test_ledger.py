"""The ledger: what changes when services come, change, share elements and go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubetree.proxy.ledger import Ledger
from kubetree.proxy.render import Tables
from kubetree.proxy.table import Chain

A, B = ("default", "a"), ("default", "b")


def tables(elements: dict[str, str], *chains: str) -> Tables:
    return Tables({("map", key): value for key, value in elements.items()}, {name: Chain(name, ()) for name in chains})


def test_only_the_difference_is_taken() -> None:
    ledger = Ledger()
    ledger.put(A, tables({"x": "1", "y": "1"}, "pick-1"))
    first = ledger.take()
    assert (dict(first.added), first.removed, list(first.chains)) == ({("map", "x"): "1", ("map", "y"): "1"}, frozenset(), ["pick-1"])
    ledger.put(A, tables({"x": "2", "z": "1"}, "pick-1"))
    second = ledger.take()
    assert second.removed == {("map", "x"), ("map", "y")}
    assert dict(second.added) == {("map", "x"): "2", ("map", "z"): "1"}
    assert not second.chains
    assert not ledger.take()


def test_a_change_and_its_undoing_between_two_writings_is_none() -> None:
    ledger = Ledger()
    ledger.put(A, tables({"x": "1"}))
    ledger.take()
    ledger.put(A, tables({"x": "2"}))
    ledger.put(A, tables({"x": "1"}))
    assert not ledger.take()


def test_a_shared_element_stays_until_its_last_owner_goes() -> None:
    ledger = Ledger()
    ledger.put(A, tables({"shared": ""}))
    ledger.put(B, tables({"shared": ""}))
    ledger.put(A, tables({}))
    assert ("map", "shared") in ledger.elements
    ledger.put(B, tables({}))
    assert ledger.elements == {}


def test_who_came_first_holds_a_contested_element_and_the_next_takes_over() -> None:
    ledger = Ledger()
    ledger.put(A, tables({"ip": "a"}))
    ledger.put(B, tables({"ip": "b"}))
    assert ledger.elements["map", "ip"] == "a"
    ledger.take()
    ledger.put(A, tables({}))
    changes = ledger.take()
    assert changes.removed == {("map", "ip")}
    assert dict(changes.added) == {("map", "ip"): "b"}


STEPS = st.lists(st.tuples(st.sampled_from([A, B, ("default", "c")]), st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"))))


@given(STEPS)
def test_changes_applied_in_turn_give_the_wanted_elements(steps: list[tuple[tuple[str, str], dict[str, str]]]) -> None:
    ledger, kernel = Ledger(), {}
    last: dict[tuple[str, str], dict[str, str]] = {}
    for owner, elements in steps:
        ledger.put(owner, tables(elements))
        last[owner] = elements
        changes = ledger.take()
        for key in changes.removed:
            del kernel[key]
        for key, value in changes.added.items():
            assert key not in kernel, "the kernel refuses an element that is there with another value"
            kernel[key] = value
    assert kernel == ledger.elements
    assert {key for _, key in kernel} == {key for elements in last.values() for key in elements}
    for (_, key), value in kernel.items():
        assert value in {elements[key] for elements in last.values() if key in elements}
