"""kubetree down."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from kubetree.cli.progress import progress
from kubetree.cluster.containerd import ContainerdError
from kubetree.cluster.down import down
from kubetree.cluster.layout import Layout
from kubetree.cluster.machine import MachineError
from kubetree.cluster.settings import read_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep-data", action="store_true", help="keep the objects and images; the next up goes on with them")


def run(options: argparse.Namespace) -> int:
    if os.geteuid() != 0:
        print("kubetree down: run this as root (sudo)", file=sys.stderr)
        return 1
    layout = Layout()
    try:
        with progress("taking the cluster down") as say:
            asyncio.run(down(layout, read_settings(layout), say, keep_data=options.keep_data))
    except (ContainerdError, MachineError) as error:
        print(f"kubetree down: {error}", file=sys.stderr)
        return 1
    return 0
