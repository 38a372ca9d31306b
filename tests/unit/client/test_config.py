"""kubeconfig files are read as client-go reads them."""

import base64
from pathlib import Path

import pytest
import yaml

from kubetree.client import ConfigError, load_kubeconfig


def write(path: Path, **user: str) -> Path:
    document = {
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1/", "certificate-authority": "ca.pem"}}],
        "users": [{"name": "u", "user": user}],
    }
    (path / "ca.pem").write_bytes(b"CA")
    file = path / "config"
    file.write_text(yaml.safe_dump(document))
    return file


def test_relative_files_and_data(tmp_path: Path) -> None:
    config = load_kubeconfig(write(tmp_path, **{"client-certificate-data": base64.b64encode(b"CERT").decode(), "token": "t"}))
    assert (config.server, config.ca, config.client_cert, config.token, config.namespace) == (
        "https://127.0.0.1:1",
        b"CA",
        b"CERT",
        "t",
        "n",
    )


def test_a_missing_context_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='contexts has no entry named "two"'):
        load_kubeconfig(write(tmp_path), context="two")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        load_kubeconfig(tmp_path / "nowhere")
