"""kubetree image load: an image archive (docker save, podman save, OCI) into the cluster's node."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from kubetree.cluster.images import ImageError, import_image
from kubetree.cluster.layout import Layout
from kubetree.cluster.up import containerd_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    load = actions.add_parser("load", help="load image archives, as docker save writes them; - reads standard input")
    load.add_argument("archive", nargs="+")


def run(options: argparse.Namespace) -> int:
    config = containerd_config(Layout())
    for name in options.archive:
        try:
            archive = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            asyncio.run(import_image(str(config.socket), archive, snapshotter=config.snapshotter))
        except OSError as error:
            print(f"kubetree image load: {name}: {error.strerror}", file=sys.stderr)
            return 1
        except ImageError as error:
            print(f"kubetree image load: {name}: {error}", file=sys.stderr)
            return 1
    return 0
