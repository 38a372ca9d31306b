"""The table of kinds changes while it is in use."""

from __future__ import annotations

import pytest

from kubetree.api.kinds import Kind, Kinds

FOO_1, FOO_2 = (Kind("example.com", version, "Foo", "foos") for version in ("v1", "v2"))
BAR = Kind("example.com", "v1", "Bar", "bars")


def test_rows_come_and_go_as_one_change() -> None:
    kinds = Kinds([FOO_1, BAR])
    seen: list[list[Kind]] = []
    kinds.on_change(lambda: seen.append(list(kinds)))
    kinds.replace([FOO_1, BAR], [FOO_2, BAR])
    assert seen == [[FOO_2, BAR]]
    assert kinds.by_resource("example.com", "v1", "foos") is None
    assert kinds.by_kind("example.com/v1", "Foo") is None
    assert kinds.by_kind("example.com/v2", "Foo") is FOO_2
    assert kinds.by_resource("example.com", "v1", "bars") is BAR


def test_a_kind_keeps_the_row_that_has_it_now() -> None:
    kinds = Kinds([FOO_1])
    other = Kind("example.com", "v1", "Foo", "others")
    kinds.add(other)
    kinds.remove(FOO_1)
    assert kinds.by_kind("example.com/v1", "Foo") is other


def test_what_is_not_there_cannot_go() -> None:
    with pytest.raises(KeyError):
        Kinds([FOO_1]).remove(BAR)
