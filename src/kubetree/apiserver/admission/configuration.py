"""--admission-control-config-file: what each plugin is told besides being on. Follows apiserver/pkg/admission/config.go.

Read once at start. What a plugin's part means is the plugin's business; here it is only found, in the file or in the one it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
_VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1")
_LEGACY = {"imagePolicy": "ImagePolicyWebhook", "podNodeSelectorPluginConfig": "PodNodeSelector"}


@dataclass(frozen=True, slots=True)
class Configuration:
    """`of(plugin)` is what the file says for a plugin, {} for nothing; relative paths in it are relative to `directory`."""

    plugins: Mapping[str, Object] = field(default_factory=dict)
    directory: Path = Path()

    def of(self, plugin: str) -> Object:
        return self.plugins.get(plugin) or {}

    def typed(self, plugin: str, group: str, kind: str) -> Object:
        """The same for a versioned configuration. Raises ValueError for another group or kind than the plugin's."""
        found = self.of(plugin)
        if found and (str(found.get("apiVersion", "")).rpartition("/")[0] != group or found.get("kind") != kind):
            given = f"{found.get('apiVersion', '')}, Kind={found.get('kind', '')}"
            raise ValueError(f"admission configuration of {plugin}: no kind is registered for {given}; it must be {group}, Kind={kind}")
        return found

    def path(self, name: str) -> Path:
        return self.directory / name


def read_configuration(file: Path | None) -> Configuration:
    """Raises ValueError for a file that cannot be read or is no AdmissionConfiguration."""
    if file is None:
        return Configuration()
    document = _load(file)
    directory = file.absolute().parent
    if "apiVersion" not in document or "kind" not in document:
        legacy = {name: document for key, name in _LEGACY.items() if key in document}
        if not legacy:
            raise ValueError(f"{file}: Object 'Kind' is missing: an AdmissionConfiguration of {_VERSIONS[0]} is wanted")
        return Configuration(legacy, directory)
    if document["apiVersion"] not in _VERSIONS or document["kind"] != "AdmissionConfiguration":
        raise ValueError(f"{file}: unexpected type {document['apiVersion']}, Kind={document['kind']}")
    found: dict[str, Object] = {}
    for entry in document.get("plugins") or ():
        name = entry.get("name") or ""
        if name in found:
            continue
        if entry.get("configuration") is not None:
            found[name] = entry["configuration"]
        elif entry.get("path"):
            found[name] = _load(directory / entry["path"])
    return Configuration(found, directory)


def _load(file: Path) -> Object:
    try:
        found = yaml.safe_load(file.read_text())
    except OSError as error:
        raise ValueError(f'unable to read admission control configuration from "{file}" [{error.strerror}]') from None
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is not YAML: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file} must hold an object")
    return found
