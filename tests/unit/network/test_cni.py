"""The CNI configuration of a node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubetree.network.cni import FILE_NAME, conflist, write_conflist


def test_a_node_gives_addresses_of_its_own_range_and_a_default_route() -> None:
    plugin = conflist(["10.244.3.0/24"], mtu=1450, state_directory="/state")["plugins"][0]
    assert (plugin["type"], plugin["mtu"]) == ("ptp", 1450)
    assert plugin["ipam"] == {
        "type": "host-local",
        "dataDir": "/state",
        "ranges": [[{"subnet": "10.244.3.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }


def test_dual_stack_gives_an_address_of_each_family() -> None:
    ipam = conflist(["10.244.3.0/24", "fd00:10:244::/64"], mtu=1500, state_directory="/state")["plugins"][0]["ipam"]
    assert [r[0]["subnet"] for r in ipam["ranges"]] == ["10.244.3.0/24", "fd00:10:244::/64"]
    assert [r["dst"] for r in ipam["routes"]] == ["0.0.0.0/0", "::/0"]


def test_a_node_without_or_with_a_malformed_range_is_refused() -> None:
    with pytest.raises(ValueError, match="podCIDRs"):
        conflist([], mtu=1500, state_directory="/state")
    with pytest.raises(ValueError, match=r"10\.244\.3\.7/24"):
        conflist(["10.244.3.7/24"], mtu=1500, state_directory="/state")


def test_the_file_is_written_once_and_leaves_nothing_else(tmp_path: Path) -> None:
    configuration = conflist(["10.244.3.0/24"], mtu=1500, state_directory="/state")
    assert write_conflist(tmp_path / "net.d", configuration)
    assert not write_conflist(tmp_path / "net.d", configuration)
    assert [p.name for p in (tmp_path / "net.d").iterdir()] == [FILE_NAME]
    assert json.loads((tmp_path / "net.d" / FILE_NAME).read_text()) == configuration
    assert write_conflist(tmp_path / "net.d", conflist(["10.244.4.0/24"], mtu=1500, state_directory="/state"))
