"""Golden pairs: services and slices as YAML, the elements and chains that they become as text.

`KUBETREE_GOLDEN=write pytest ...` writes the text anew; read the difference before you keep it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubetree.proxy.render import Node, Tables, render
from kubetree.proxy.table import FAMILIES, Family, Settings

GOLDEN = Path(__file__).parent / "golden"
CIDRS = {4: ("10.244.0.0/16", "10.96.0.0/16"), 6: ("fd00:10::/64", "fd00:20::/112")}
NODE_IPS = {4: "192.0.2.1", 6: "2001:db8::1"}


def rendered(case: Path, family: Family) -> str:
    documents: list[dict[str, Any]] = [d for d in yaml.safe_load_all(case.read_text()) if d]
    services = [d for d in documents if d["kind"] == "Service"]
    slices = [d for d in documents if d["kind"] == "EndpointSlice"]
    cluster, service = CIDRS[family.version]
    node = Node("here", "zone-a", (NODE_IPS[family.version],), (NODE_IPS[family.version],))
    return text(render(services, slices, node, family, Settings((cluster,), (service,))))


def text(tables: Tables) -> str:
    lines = [f"{table}: {key}{' -> ' + value if value else ''}" for (table, key), value in sorted(tables.elements.items())]
    for name in sorted(tables.chains):
        lines += [f"chain {name}", *(f"  {rule}" for rule in tables.chains[name].rules)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", sorted(GOLDEN.glob("*.yaml")), ids=lambda p: p.stem)
def test_golden(case: Path) -> None:
    got = "".join(f"== {family.ip}\n{rendered(case, family)}" for family in FAMILIES)
    expected = case.with_suffix(".txt")
    if os.environ.get("KUBETREE_GOLDEN") == "write":
        expected.write_text(got)
    assert got == expected.read_text()
