"""kubeconfig files: one for each component, and the context `kubetree` merged into the user's own file, as kind and minikube do."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import yaml

from kubetree.cluster.files import write_file

Document = dict[str, Any]
SECTIONS = ("clusters", "users", "contexts")


def document(name: str, server: str, ca: bytes, cert: bytes, key: bytes) -> Document:
    """A kubeconfig whose one context, cluster and user are called `name`; certificates are in it, not beside it."""

    def encode(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": encode(ca)}}],
        "users": [{"name": name, "user": {"client-certificate-data": encode(cert), "client-key-data": encode(key)}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def merged(existing: Document, ours: Document) -> Document:
    """`existing` with our entries in place of those of the same name, and our context the current one."""
    result = {"apiVersion": "v1", "kind": "Config", "preferences": {}, **existing}
    for section in SECTIONS:
        names = {entry["name"] for entry in ours[section]}
        result[section] = [entry for entry in existing.get(section) or () if entry.get("name") not in names] + ours[section]
    result["current-context"] = ours["current-context"]
    return result


def without(existing: Document, name: str) -> Document:
    """`existing` less the entries called `name`; the current context is unset if it was ours."""
    result = dict(existing)
    for section in SECTIONS:
        result[section] = [entry for entry in existing.get(section) or () if entry.get("name") != name]
    if existing.get("current-context") == name:
        remaining = [context["name"] for context in result["contexts"]]
        result["current-context"] = remaining[0] if len(remaining) == 1 else ""
    return result


def is_empty(existing: Document) -> bool:
    return not any(existing.get(section) for section in SECTIONS)


def user_path() -> Path:
    """The file kubectl writes to: the first of $KUBECONFIG, or ~/.kube/config of the user who called sudo."""
    if given := os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]:
        return Path(given)
    return _home() / ".kube" / "config"


def _home() -> Path:
    caller = os.environ.get("SUDO_USER", "")
    return Path(f"~{caller}").expanduser() if caller and caller != "root" else Path.home()


def _read(path: Path) -> Document:
    try:
        found = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: Document) -> None:
    new_folder = not path.parent.exists()
    write_file(path, yaml.safe_dump(content, sort_keys=False).encode())
    if os.geteuid() == 0 and "SUDO_UID" in os.environ:
        owner = int(os.environ["SUDO_UID"]), int(os.environ.get("SUDO_GID", "-1"))
        os.chown(path, *owner)
        if new_folder:
            os.chown(path.parent, *owner)


def merge_into_user_config(ours: Document) -> Path:
    """Merges our context into the user's kubeconfig and makes it current. Returns the file."""
    path = user_path()
    _write(path, merged(_read(path), ours))
    return path


def remove_from_user_config(name: str) -> None:
    """Takes our entries out of the user's kubeconfig; a file that held nothing else goes."""
    path = user_path()
    existing = _read(path)
    if not existing:
        return
    left = without(existing, name)
    if is_empty(left):
        path.unlink()
    elif left != existing:
        _write(path, left)
