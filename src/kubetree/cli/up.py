"""kubetree up."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import fields, replace

from kubetree.api.errors import ApiError
from kubetree.cli.progress import progress
from kubetree.client import ConfigError
from kubetree.cluster import up
from kubetree.cluster.containerd import ContainerdError
from kubetree.cluster.images import ImageError
from kubetree.cluster.layout import Layout, Settings
from kubetree.cluster.machine import MachineError
from kubetree.cluster.prerequisites import MissingPrerequisites
from kubetree.cluster.settings import SettingsError, read_settings

FAILURES = (up.UpError, ContainerdError, ImageError, MachineError, MissingPrerequisites, SettingsError, ConfigError, ApiError)

TRY = """
[bold]To try:[/bold]
  kubectl get pods -o wide                      the demo's three replicas
  curl http://{node_ip}:30080/                  each answer names the pod that gave it
  kubectl delete pod -l app=web --wait=false    they come back
  kubectl scale rc web --replicas=5
  kubectl run -it --rm shell --image={image} -- sh -c 'wget -qO- http://web'
  kubetree status                               kubetree down
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = Settings()
    for field in fields(Settings):
        flag = f"--{field.name.replace('_', '-')}"
        kind = type(getattr(defaults, field.name))
        parser.add_argument(flag, type=kind, default=None, help=f"default: {getattr(defaults, field.name) or 'made from the others'}")
    parser.add_argument("--no-demo", action="store_true", help="start the cluster only")


def run(options: argparse.Namespace) -> int:
    layout = Layout()
    given = {field.name: value for field in fields(Settings) if (value := getattr(options, field.name)) is not None}
    settings = replace(read_settings(layout), **given)
    failures: list[BaseException] = []
    try:
        with progress("starting the cluster") as say:
            asyncio.run(up.up(layout, settings, say, demo=not options.no_demo))
    except* FAILURES as group:
        failures += group.exceptions
    for failure in failures:
        print(f"kubetree up: {failure}", file=sys.stderr)
    if failures:
        return 1
    if not options.no_demo:
        from rich import print as show

        show(TRY.format(node_ip=settings.node_ip, image=up.DEMO_IMAGE))
    return 0
