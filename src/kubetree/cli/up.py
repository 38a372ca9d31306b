"""kubetree up: starts the supervisor at once, so that it imports its components while this process imports and prepares."""

from __future__ import annotations

import argparse
from dataclasses import fields

from kubetree.cluster.layout import Layout, Settings
from kubetree.cluster.loading import load
from kubetree.cluster.starting import start_early

_UNSAID = {"store": "made from the others"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = Settings()
    for field in fields(Settings):
        flag = f"--{field.name.replace('_', '-')}"
        kind = type(getattr(defaults, field.name))
        told = getattr(defaults, field.name) or _UNSAID.get(field.name, "none")
        parser.add_argument(flag, type=kind, default=None, help=f"default: {told}")
    parser.add_argument("--no-demo", action="store_true", help="start the cluster only")


def run(options: argparse.Namespace) -> int:
    layout = Layout()
    given = {field.name: value for field in fields(Settings) if (value := getattr(options, field.name)) is not None}
    starting = start_early(layout)
    return int(load("kubetree.cli.bring_up").bring_up(layout, given, starting, demo=not options.no_demo))
