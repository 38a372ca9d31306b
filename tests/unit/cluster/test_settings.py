"""Settings of a cluster: kept with its data, checked before anything is changed."""

from dataclasses import replace
from pathlib import Path

import pytest

from kubetree.cluster.layout import Layout, Settings
from kubetree.cluster.machine import overlapping_routes
from kubetree.cluster.prerequisites import PREREQUISITES, install_hint
from kubetree.cluster.settings import SettingsError, check_settings, read_settings, write_settings


def test_written_settings_come_back(tmp_path: Path) -> None:
    layout = Layout(data=tmp_path)
    assert read_settings(layout) == Settings()
    settings = replace(Settings(), api_port=7443, cluster_cidr="10.50.0.0/16")
    write_settings(layout, settings)
    assert read_settings(layout) == settings


def test_the_addresses_follow_from_the_ranges() -> None:
    settings = replace(Settings(), service_cidr="10.5.0.0/16", node_network="10.6.0.0/24", api_port=1)
    assert (settings.dns_ip, settings.kubernetes_ip, settings.server) == ("10.5.0.10", "10.5.0.1", "https://10.6.0.1:1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cluster_cidr": "10.96.0.0/12"}, "cluster-cidr 10.96.0.0/12 and service-cidr 10.96.0.0/16 overlap"),
        ({"service_cidr": "10.96.0.1/16"}, "service-cidr: 10.96.0.1/16 has host bits set"),
        ({"node_network": "nonsense"}, "node-network: 'nonsense' does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_bad_ranges_are_named(change: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_settings(replace(Settings(), **change))  # type: ignore[arg-type]


def test_routes_that_a_cluster_would_take_over_are_named() -> None:
    routes: list[dict[str, object]] = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "10.96.4.0/24", "dev": "tun0"},
        {"dst": "10.96.0.0/16", "type": "unreachable"},
        {"dst": "192.168.0.0/24", "dev": "eth0"},
    ]
    assert overlapping_routes(routes, ["10.96.0.0/16", "10.244.0.0/16"]) == ["10.96.4.0/24 dev tun0"]


@pytest.mark.parametrize("installer", ["apt-get", "dnf", "pacman"])
def test_every_prerequisite_has_a_package_everywhere(installer: str) -> None:
    hint = install_hint(PREREQUISITES, installer)
    assert hint.startswith(installer) and "containerd" in hint
