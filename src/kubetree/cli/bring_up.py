"""The work of `kubetree up` and how it is told."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

from kubetree.api.errors import ApiError
from kubetree.cli.progress import progress
from kubetree.client import ConfigError
from kubetree.cluster import up
from kubetree.cluster.containerd import ContainerdError
from kubetree.cluster.images import ImageError
from kubetree.cluster.layout import Layout
from kubetree.cluster.machine import MachineError
from kubetree.cluster.prerequisites import MissingPrerequisites
from kubetree.cluster.settings import SettingsError, read_settings
from kubetree.cluster.starting import Starting

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


def bring_up(layout: Layout, given: dict[str, object], starting: Starting | None, *, demo: bool) -> int:
    """`given` are the settings that the command line names. Returns the exit code."""
    failures: list[BaseException] = []
    try:
        settings = replace(read_settings(layout), **given)  # type: ignore[arg-type]
        with progress("starting the cluster") as say:
            asyncio.run(up.up(layout, settings, say, starting, demo=demo))
    except* FAILURES as group:
        failures += group.exceptions
    for failure in failures:
        print(f"kubetree up: {failure}", file=sys.stderr)
    if failures:
        return 1
    if demo:
        from rich import print as show

        show(TRY.format(node_ip=settings.node_ip, image=up.DEMO_IMAGE))
    return 0
