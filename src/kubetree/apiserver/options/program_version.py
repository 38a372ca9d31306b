"""Which Kubernetes this server says it is: what /version answers, and the flag that changes it.

Follows component-base/version and its flag: `--version` and `--version=raw` print it and end the process, `--version=vX.Y.Z...` has the
server say another one, which may differ in what comes after the patch version.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
from typing import Any, NoReturn

from kubetree.apiserver.options.config import GIT_VERSION, VERSION_MAJOR, VERSION_MINOR
from kubetree.apiserver.options.values import Unreadable, truth


def version_info(reported: str) -> dict[str, Any]:
    """The answer of /version, in the order of upstream's struct."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": VERSION_MAJOR,
        "minor": VERSION_MINOR,
        "emulationMajor": VERSION_MAJOR,
        "emulationMinor": VERSION_MINOR,
        "minCompatibilityMajor": VERSION_MAJOR,
        "minCompatibilityMinor": str(int(VERSION_MINOR) - 1),
        "gitVersion": reported,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation().lower(),
        "platform": f"linux/{machine}",
    }


def _raw() -> str:
    """As Go prints the struct. What is emulated is known to servers only."""
    shown = {k: "" if k.startswith(("emulation", "minCompatibility")) else v for k, v in version_info(GIT_VERSION).items()}
    return f"version.Info{{{', '.join(f'{k[0].upper()}{k[1:]}:{json.dumps(v)}' for k, v in shown.items())}}}"


class VersionFlag(argparse.Action):
    """Leaves the version to report; the two values that ask for it end the process."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        if values == "raw":
            _end(_raw())
        if values.startswith("v"):
            setattr(namespace, self.dest, values)
        elif truth(values):
            _end(f"Kubernetes {GIT_VERSION}")


def _end(said: str) -> NoReturn:
    sys.stdout.write(f"{said}\n")
    raise SystemExit(0)


def version_or_truth(text: str) -> str:
    """The value of the flag. Raises Unreadable for what is neither, and for another version than this one."""
    if text.startswith("v"):
        why = _not_this(text)
        if why:
            raise Unreadable(text, why)
    elif text != "raw":
        truth(text)
    return text


_SEMANTIC = re.compile(r"v([0-9]+(?:\.[0-9]+)*)(.*)", re.DOTALL)
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_EXTRA = re.compile(rf"(?:-({_IDENTIFIERS}))?(?:\+{_IDENTIFIERS})?\s*", re.ASCII)


def _not_this(text: str) -> str:
    """Why a server of this version cannot report `text`; '' when it can."""
    quoted = json.dumps(text)
    found = _SEMANTIC.fullmatch(text)
    if found is None:
        return f"could not parse {quoted} as version"
    numbers = found[1].split(".")
    if len(numbers) != 3:
        return f"illegal version string {quoted}"
    extra = _EXTRA.fullmatch(found[2])
    if extra is None:
        return f"could not parse pre-release/metadata ({found[2]}) in version {quoted}"
    for part in (*numbers, *(p for p in (extra[1] or "").split(".") if p.isdecimal())):
        if part.startswith("0") and part != "0":
            return f"illegal zero-prefixed version component {json.dumps(part)} in {quoted}"
    own = _SEMANTIC.fullmatch(GIT_VERSION)
    assert own is not None
    if found[1] != own[1]:
        return f"version {quoted} must match major/minor/patch of default version {json.dumps(GIT_VERSION)}"
    return ""
