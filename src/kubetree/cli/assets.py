"""kubetree assets: a directory of executables named as upstream's, for tools that start a control plane from such a directory.

controller-runtime's envtest is one: with $KUBEBUILDER_ASSETS it starts `etcd` and `kube-apiserver` from there. The executables only say
which subcommand of this Python's Kubetree is meant; etcd and kubectl are the machine's own.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path

COMPONENTS = {
    "kube-apiserver": "apiserver",
    "kube-controller-manager": "controller-manager",
    "kube-scheduler": "scheduler",
    "kubelet": "kubelet",
    "kube-proxy": "proxy",
}
"""Upstream's names, and our subcommands."""
SYSTEM = {"etcd": "etcd-server", "kubectl": "kubernetes-client"}
"""What the machine must bring along, and the package it is in on Debian and Ubuntu."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, help="where to put kube-apiserver, etcd, kubectl, ...; made when it is missing")


def run(options: argparse.Namespace) -> int:
    """Prints the directory, so that it can be taken as `export KUBEBUILDER_ASSETS=$(kubetree assets DIRECTORY)`.

    1 without etcd, which envtest cannot do without; kubectl is only named as missing.
    """
    directory: Path = options.directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    for name, command in COMPONENTS.items():
        _replace(directory / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m kubetree.cli.main {command} "$@"\n')
        (directory / name).chmod(0o755)
    missing = [name for name in SYSTEM if not _link(name, directory)]
    for name in missing:
        print(f"kubetree assets: {name} is not on this machine (on Debian: apt install {SYSTEM[name]})", file=sys.stderr)
    print(directory)
    return 1 if "etcd" in missing else 0


def _link(name: str, directory: Path) -> bool:
    found = shutil.which(name)
    if found is None:
        return (directory / name).exists()
    target = Path(found).resolve()
    if target != (directory / name).resolve():
        _replace(directory / name).symlink_to(target)
    return True


def _replace(path: Path) -> Path:
    """`path` with nothing there: what is written must not go through a link to what it leads to."""
    path.unlink(missing_ok=True)
    return path
