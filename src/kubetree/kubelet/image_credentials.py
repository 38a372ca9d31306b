"""Which user name and password to pull an image with, from docker configurations in pull secrets. Pure."""

from __future__ import annotations

import base64
import binascii
import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

Object = dict[str, Any]
_HUB = ("index.docker.io", "docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Credential:
    username: str
    password: str
    identity_token: str = ""
    registry_token: str = ""

    def to_cri(self) -> Object:
        return {
            "username": self.username,
            "password": self.password,
            "identity_token": self.identity_token,
            "registry_token": self.registry_token,
        }


def registry_of(image: str) -> tuple[str, str]:
    """Host (with port) and path of an image's name: `busybox` is ("docker.io", "library/busybox")."""
    first, slash, rest = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return "docker.io", image if slash else f"library/{image}"


def find(image: str, secrets: Iterable[Object]) -> list[Credential]:
    """Credentials for `image`, the most specific entry first."""
    host, path = registry_of(image)
    found: list[tuple[int, Credential]] = []
    for secret in secrets:
        for server, entry in _entries(secret).items():
            wanted_host, _, wanted_path = server.partition("://")[-1].partition("/") if "://" in server else server.partition("/")
            if wanted_path in ("v1/", "v2/", "v1", "v2"):
                wanted_path = ""
            if _same_host(wanted_host, host) and path.startswith(wanted_path.rstrip("/")):
                found.append((len(wanted_path), _credential(entry)))
    return [credential for _, credential in sorted(found, key=lambda pair: -pair[0])]


def _same_host(pattern: str, host: str) -> bool:
    if pattern in _HUB and host in _HUB:
        return True
    return pattern.count(".") == host.count(".") and fnmatch.fnmatchcase(host, pattern)


def _entries(secret: Object) -> Mapping[str, Object]:
    data = secret.get("data") or {}
    try:
        if secret.get("type") == "kubernetes.io/dockerconfigjson":
            auths = orjson.loads(base64.b64decode(data.get(".dockerconfigjson", ""))).get("auths") or {}
        elif secret.get("type") == "kubernetes.io/dockercfg":
            auths = orjson.loads(base64.b64decode(data.get(".dockercfg", "")))
        else:
            return {}
    except (ValueError, binascii.Error):
        return {}
    return dict(auths)


def _credential(entry: Object) -> Credential:
    name, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        decoded = base64.b64decode(entry["auth"]).decode("utf-8", "replace")
        name, _, password = decoded.partition(":")
    return Credential(name, password, entry.get("identitytoken", ""), entry.get("registrytoken", ""))
