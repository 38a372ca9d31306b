"""The settings of the cluster on this machine: read from its data folder, so that every command means the same cluster."""

from __future__ import annotations

import dataclasses
import ipaddress
import json

from kubetree.cluster.files import write_file
from kubetree.cluster.layout import Layout, Settings


class SettingsError(Exception):
    """Settings that no cluster can be made with; the message says which, and what would do."""


def read_settings(layout: Layout) -> Settings:
    """The settings written by `up`, or the defaults when there is no cluster yet. Fields of a newer version are passed over."""
    try:
        found = json.loads(layout.settings.read_text())
    except FileNotFoundError:
        return Settings()
    known = {field.name for field in dataclasses.fields(Settings)}
    return Settings(**{name: value for name, value in found.items() if name in known})


def write_settings(layout: Layout, settings: Settings) -> None:
    write_file(layout.settings, json.dumps(dataclasses.asdict(settings), indent=2).encode(), 0o644)


def check_settings(settings: Settings) -> None:
    """Raises SettingsError when ranges overlap or are malformed."""
    ranges = {}
    for field in ("node_network", "cluster_cidr", "service_cidr"):
        try:
            ranges[field] = ipaddress.ip_network(getattr(settings, field))
        except ValueError as error:
            raise SettingsError(f"{field.replace('_', '-')}: {error}") from error
    names = list(ranges)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            if ranges[one].overlaps(ranges[other]):
                raise SettingsError(f"{one.replace('_', '-')} {ranges[one]} and {other.replace('_', '-')} {ranges[other]} overlap")
