"""Every behaviour holds whatever the API server keeps its objects in: each test runs in all modes that `--store` names.

A test marked `one_store` runs once: it brings its own storage, or asks what is no matter of storage (how requests are shaped, who may
send them, what is called out to). Where a whole module is, a test marked `every_store` is the exception that does ask.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import storage_modes
from storage_modes import MODES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marked = metafunc.definition.get_closest_marker
    if (marked("one_store") is None or marked("every_store") is not None) and not _outlived(metafunc):
        metafunc.parametrize("storage", metafunc.config.getoption("--store"), indirect=True, scope="session")


def _outlived(metafunc: pytest.Metafunc) -> bool:
    """Whether the test has a server that outlives it without depending on `storage`: it would be that of the first mode in all of them."""
    for name, found in metafunc.definition._fixtureinfo.name2fixturedefs.items():
        for fixture in found:
            if fixture.baseid.endswith(".py") and fixture.scope != "function" and "storage" not in fixture.argnames:
                words = f"{fixture.baseid}: the fixture {name} outlives a test without asking for `storage`: its tests run over memory only"
                warnings.warn(words, pytest.PytestWarning, stacklevel=1)
                return True
    return False


@pytest.fixture(scope="session", autouse=True)
def storage(request: pytest.FixtureRequest) -> Iterator[storage_modes.Mode]:
    """The mode of the tests that run. Fixtures that live longer than a test depend on it."""
    before = storage_modes.mode
    storage_modes.mode = mode = MODES[getattr(request, "param", "memory")]
    if mode.lacking:
        pytest.skip(mode.lacking)
    yield mode
    storage_modes.mode = before


@pytest.fixture
def place(storage: storage_modes.Mode) -> Iterator[storage_modes.Place]:
    """For servers of one test that come after each other or beside each other."""
    with storage_modes.new_place() as made:
        yield made


@pytest.fixture(scope="session")
def kubetree_options(storage: storage_modes.Mode) -> Iterator[dict[str, Any]]:
    with storage_modes.new_place() as place:
        yield {"nodes": 1, "servers": storage.servers, **place.settings}
