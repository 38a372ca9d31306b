"""What a node needs of the system, as a table; what is missing is installed with apt, or named for other distributions."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/cni", "/opt/cni/bin"])


class MissingPrerequisites(Exception):
    """Something that a node needs is not there and could not be installed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """Any one of `anyof` will do: programs, or libraries as `lib:name`. `packages` maps a package manager to its package's name."""

    what: str
    anyof: tuple[str, ...]
    packages: dict[str, str]

    def present(self) -> bool:
        return any(_present(name) for name in self.anyof)


def _present(name: str) -> bool:
    if name.startswith("lib:"):
        return ctypes.util.find_library(name.removeprefix("lib:")) is not None
    return shutil.which(name, path=SEARCH) is not None


def _everywhere(package: str) -> dict[str, str]:
    return dict.fromkeys(INSTALLERS, package)


INSTALLERS = {
    "apt-get": "apt-get install -y",
    "dnf": "dnf install -y",
    "zypper": "zypper install -y",
    "pacman": "pacman -S --noconfirm",
    "apk": "apk add",
}

PREREQUISITES: tuple[Prerequisite, ...] = (
    Prerequisite("the container engine", ("containerd",), _everywhere("containerd")),
    Prerequisite("the container runtime", ("runc", "crun"), _everywhere("runc")),
    Prerequisite(
        "CNI plugins",
        ("host-local",),
        {**_everywhere("cni-plugins"), "apt-get": "containernetworking-plugins", "dnf": "containernetworking-plugins"},
    ),
    Prerequisite("ip", ("ip",), {**_everywhere("iproute2"), "dnf": "iproute"}),
    Prerequisite("nftables", ("lib:nftables",), {**_everywhere("nftables"), "apt-get": "libnftables1"}),
    Prerequisite("busybox for the demo's image", ("busybox",), {**_everywhere("busybox"), "apt-get": "busybox-static"}),
)


def missing(wanted: Sequence[Prerequisite] = PREREQUISITES) -> list[Prerequisite]:
    return [prerequisite for prerequisite in wanted if not prerequisite.present()]


def install_hint(wanted: Iterable[Prerequisite], installer: str) -> str:
    """The command that installs what is wanted."""
    return f"{INSTALLERS[installer]} {' '.join(prerequisite.packages[installer] for prerequisite in wanted)}"


def ensure(say: Callable[[str], None], needed: Sequence[Prerequisite] = PREREQUISITES) -> None:
    """Installs what is missing. Raises MissingPrerequisites with the exact command where that cannot be done here."""
    wanted = missing(needed)
    if not wanted:
        return
    installer = next((name for name in INSTALLERS if shutil.which(name)), "")
    if not installer:
        names = ", ".join(f"{p.what} ({' or '.join(p.anyof)})" for p in wanted)
        raise MissingPrerequisites(f"this machine lacks {names}; install them and try again")
    if installer != "apt-get":
        raise MissingPrerequisites(f"this machine lacks what a node needs; run this and try again:\n  {install_hint(wanted, installer)}")
    packages = [prerequisite.packages["apt-get"] for prerequisite in wanted]
    say(f"installing {' '.join(packages)}")
    _apt(packages)
    if still := missing(needed):
        raise MissingPrerequisites(f"installed, but still not found: {', '.join(p.what for p in still)}")


def _apt(packages: list[str]) -> None:
    """Installs, without starting the services that the packages bring: the cluster runs its own containerd."""
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode and command[1] == "install":
                raise MissingPrerequisites(f"{' '.join(command)} failed:\n{done.stderr.strip()[-2000:]}")
    finally:
        if ours:
            policy.unlink(missing_ok=True)
