"""Programs that tests use where they are installed: a machine without one skips what needs it, and says so."""

from __future__ import annotations

import shutil

import pytest

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")


def require(program: str) -> None:
    """Skips the test that asks, unless the program is there."""
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
