from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kubetree.store.protocol import Store
from unit.store.engines import ENGINES


@pytest.fixture(params=sorted(ENGINES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with ENGINES[request.param](tmp_path) as opened:
        yield opened
