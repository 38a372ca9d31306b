"""The user's kubeconfig: our entries come and go, everything else stays as it was."""

from pathlib import Path

import pytest
import yaml

from kubetree.cluster import kubeconfig

OTHERS = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "work", "cluster": {"server": "https://work"}}],
    "users": [{"name": "me", "user": {"token": "t"}}],
    "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me"}}],
    "current-context": "work",
}


@pytest.fixture
def ours() -> kubeconfig.Document:
    return kubeconfig.document("kubetree", "https://10.0.0.1:6443", b"CA", b"CERT", b"KEY")


def names(document: kubeconfig.Document, section: str) -> list[str]:
    return [entry["name"] for entry in document[section]]


def test_merging_keeps_others_and_replaces_ours(ours: kubeconfig.Document) -> None:
    old = kubeconfig.document("kubetree", "https://old", b"", b"", b"")
    merged = kubeconfig.merged(kubeconfig.merged(OTHERS, old), ours)
    assert names(merged, "clusters") == ["work", "kubetree"]
    assert merged["clusters"][1]["cluster"]["server"] == "https://10.0.0.1:6443"
    assert merged["current-context"] == "kubetree"


def test_removing_gives_back_what_was_there(ours: kubeconfig.Document) -> None:
    assert kubeconfig.without(kubeconfig.merged(OTHERS, ours), "kubetree") == {**OTHERS, "preferences": {}}


def test_a_file_that_held_only_ours_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: kubeconfig.Document) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "sub" / "config"))
    path = kubeconfig.merge_into_user_config(ours)
    assert path.stat().st_mode & 0o777 == 0o600
    kubeconfig.remove_from_user_config("kubetree")
    assert not path.exists()


def test_a_file_with_others_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: kubeconfig.Document) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(OTHERS))
    monkeypatch.setenv("KUBECONFIG", str(path))
    kubeconfig.merge_into_user_config(ours)
    kubeconfig.remove_from_user_config("kubetree")
    left = yaml.safe_load(path.read_text())
    assert left["clusters"] == OTHERS["clusters"] and left["current-context"] == "work"
