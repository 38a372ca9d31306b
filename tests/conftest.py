"""The plugin under test, unless the package is installed and pytest has found it by its entry point."""

import os
from importlib.metadata import entry_points

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("kubetree", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("kubetree"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "kubetree")
"""No test depends on how busy the machine is; CI tries the same examples each time."""

if not any(found.value == "kubetree.testing.plugin" for found in entry_points(group="pytest11")):
    pytest_plugins = ["kubetree.testing.plugin"]

STORES = ("memory", "sqlite", "etcd", "two-on-etcd")


def _stores(text: str) -> list[str]:
    wanted = text.split(",")
    if unknown := set(wanted) - set(STORES):
        raise pytest.UsageError(f"--store takes {', '.join(STORES)}, not {', '.join(sorted(unknown))}")
    return wanted


def pytest_addoption(parser: pytest.Parser) -> None:
    text = f"what API servers of tests/behaviour keep their objects in: {','.join(STORES)} (default: all, one after the other)"
    parser.addoption("--store", type=_stores, default=list(STORES), metavar="STORES", help=text)
