"""Static pods: manifests in a directory, run without asking the API, shown there by mirror pods.

Names, annotations and tolerations follow pkg/kubelet/config/common.go and file.go.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import yaml

from kubetree.api.defaults import apply_defaults
from kubetree.api.kind_table import kind
from kubetree.api.validation import validate_create
from kubetree.kubelet import specs

Object = dict[str, Any]
POD = kind("v1", "Pod")

log = logging.getLogger("kubetree.kubelet")


class ManifestError(Exception):
    """A manifest that is not a pod; the message says which file and why."""


def static_pod(manifest: Object, node_name: str, file: str, seen: str) -> Object:
    """The pod that a manifest makes on this node. Raises ManifestError."""
    if manifest.get("kind") != "Pod" or manifest.get("apiVersion") != "v1":
        raise ManifestError(f"{file}: expected a v1 Pod, found {manifest.get('apiVersion')} {manifest.get('kind')}")
    if not (manifest.get("metadata") or {}).get("name") or not (manifest.get("spec") or {}).get("containers"):
        raise ManifestError(f"{file}: a pod needs metadata.name and spec.containers")
    pod: Object = orjson.loads(orjson.dumps(manifest))
    metadata, spec = pod["metadata"], pod["spec"]
    uid = metadata.get("uid") or hashlib.md5(orjson.dumps([node_name, file, manifest]), usedforsecurity=False).hexdigest()
    metadata["uid"] = uid
    metadata["name"] = f"{metadata['name']}-{node_name}".lower()
    metadata.setdefault("namespace", "default")
    notes = metadata.setdefault("annotations", {}) or {}
    metadata["annotations"] = notes | {specs.CONFIG_HASH: uid, specs.CONFIG_SEEN: seen, specs.CONFIG_SOURCE: "file"}
    spec["nodeName"] = node_name
    tolerations = spec.setdefault("tolerations", [])
    if not any(t.get("operator") == "Exists" and t.get("effect") == "NoExecute" and not t.get("key") for t in tolerations):
        tolerations.append({"operator": "Exists", "effect": "NoExecute"})
    apply_defaults(POD, pod)
    problems = validate_create(POD, {**pod, "apiVersion": "v1", "kind": "Pod"})
    if problems:
        raise ManifestError(f"{file}: " + "; ".join(f"{cause.field}: {cause.message}" for cause in (p.to_cause() for p in problems)))
    pod["status"] = {"phase": "Pending"}
    return pod


def read_manifests(path: Path, node_name: str, seen: str) -> dict[str, Object]:
    """The static pods of a file or directory, by UID. A file that cannot be read as a pod is reported and left out."""
    if not path.exists():
        return {}
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    pods: dict[str, Object] = {}
    for file in files:
        try:
            manifest = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            pod = static_pod(manifest if isinstance(manifest, dict) else {}, node_name, str(file), seen)
            pods[specs.uid(pod)] = pod
        except (ManifestError, yaml.YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            # Whatever shape a file has, it must not hold up the others.
            log.error("static pod %s: %s", file, error)
    return pods


class ManifestSource:
    """Looks at a directory now and then and tells of pods that came and went."""

    def __init__(self, path: Path, node_name: str, period: float, add: Callable[[Object], None], remove: Callable[[str], None]) -> None:
        self._path, self._node_name, self._period = path, node_name, period
        self._add, self._remove = add, remove
        self._pods: dict[str, Object] = {}
        self._signature: object = None
        self.read = asyncio.Event()
        """Set once the directory has been looked at."""

    async def run(self) -> None:
        while True:
            self.look()
            self.read.set()
            await asyncio.sleep(self._period)

    def look(self) -> None:
        signature = self._stat()
        if signature == self._signature:
            return
        self._signature = signature
        seen = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = read_manifests(self._path, self._node_name, seen)
        for uid in [uid for uid in self._pods if uid not in found]:
            del self._pods[uid]
            self._remove(uid)
        for uid, pod in found.items():
            if uid not in self._pods:
                self._pods[uid] = pod
                self._add(pod)

    def _stat(self) -> object:
        try:
            if self._path.is_file():
                state = self._path.stat()
                return state.st_mtime_ns, state.st_size
            return sorted((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in self._path.iterdir() if p.is_file())
        except OSError:
            return None


def mirror_pod(pod: Object, node: Object | None) -> Object:
    """The object that shows a static pod in the API."""
    mirror: Object = orjson.loads(orjson.dumps(pod))
    metadata = mirror["metadata"]
    metadata["annotations"][specs.CONFIG_MIRROR] = metadata["annotations"][specs.CONFIG_HASH]
    metadata.pop("uid", None)
    if node is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": "v1",
                "kind": "Node",
                "name": node["metadata"]["name"],
                "uid": node["metadata"]["uid"],
                "controller": True,
            }
        ]
    mirror |= {"apiVersion": "v1", "kind": "Pod"}
    return mirror


def mirrors(mirror: Object, pod: Object) -> bool:
    """Whether a mirror pod is that of this static pod as it is now."""
    own = specs.annotations_of(mirror).get(specs.CONFIG_MIRROR)
    return own == specs.annotations_of(pod).get(specs.CONFIG_HASH) and not mirror["metadata"].get("deletionTimestamp")
