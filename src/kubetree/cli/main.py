"""The `kubetree` command: a table of subcommands, each in a module that is imported only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from kubetree import __version__
from kubetree.cluster.loading import load


class Command(NamedTuple):
    """A subcommand. Its module has `add_arguments(parser)` and `run(options)`, a coroutine function for components."""

    module: str
    help: str


COMMANDS: dict[str, Command] = {
    "up": Command("kubetree.cli.up", "start a cluster on this machine, with a demo to try"),
    "down": Command("kubetree.cli.down", "stop the cluster and leave nothing behind"),
    "status": Command("kubetree.cli.status", "what runs, and what it uses"),
    "kubeconfig": Command("kubetree.cli.kubeconfig", "print the cluster's kubeconfig"),
    "image": Command("kubetree.cli.image", "load images into the cluster's nodes"),
    "assets": Command("kubetree.cli.assets", "make a directory of executables named as upstream's, for envtest"),
    "apiserver": Command("kubetree.apiserver.main", "run kube-apiserver"),
    "controller-manager": Command("kubetree.controllers.main", "run kube-controller-manager"),
    "scheduler": Command("kubetree.scheduler.main", "run kube-scheduler"),
    "kubelet": Command("kubetree.kubelet.main", "run kubelet"),
    "proxy": Command("kubetree.proxy.main", "run kube-proxy"),
    "network": Command("kubetree.network.main", "run the node's pod network and cluster DNS"),
}


def _top_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kubetree", description="Kubernetes v1.36, implemented in Python.")
    parser.add_argument("--version", action="version", version=f"kubetree {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.help, add_help=False)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a subcommand. Returns the process's exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] not in COMMANDS:
        _top_parser().parse_args(arguments)
        return 2
    command = COMMANDS[arguments[0]]
    module = load(command.module)
    parser = argparse.ArgumentParser(prog=f"kubetree {arguments[0]}", description=command.help)
    module.add_arguments(parser)
    options = parser.parse_args(arguments[1:])
    if not importlib.import_module("inspect").iscoroutinefunction(module.run):
        return int(module.run(options) or 0)
    process = importlib.import_module("kubetree.cluster.process")
    return int(process.run_component(arguments[0], module.run, options))


if __name__ == "__main__":
    sys.exit(main())
