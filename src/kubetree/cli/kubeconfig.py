"""kubetree kubeconfig."""

from __future__ import annotations

import argparse
import sys

from kubetree.cluster.layout import Layout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--path", action="store_true", help="print where the file is, not what it says")


def run(options: argparse.Namespace) -> int:
    file = Layout().admin_kubeconfig
    try:
        print(file if options.path and file.exists() else file.read_text(), end="\n" if options.path else "")
    except OSError as error:
        print(f"kubetree kubeconfig: {file}: {error.strerror}; is a cluster up?", file=sys.stderr)
        return 1
    return 0
