"""`kubetree assets`: a directory that envtest takes for upstream's."""

import shutil
import subprocess
from pathlib import Path

import pytest

from kubetree.cli.main import main


def test_executables_have_upstreams_names_and_are_our_components(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _etcd_on_the_path(tmp_path / "bin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
        assert main(["assets", str(tmp_path / "assets")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'assets'}\n"
    shown = subprocess.run([tmp_path / "assets" / "kube-apiserver", "--help"], capture_output=True, text=True, check=True).stdout
    assert "--etcd-servers" in shown
    assert "--insecure-port" not in shown  # envtest looks for it, and would give it to a server of long ago
    assert (tmp_path / "assets" / "etcd").resolve() == (tmp_path / "bin" / "etcd").resolve()


def test_again_over_links_leaves_alone_what_they_lead_to(tmp_path: Path) -> None:
    _etcd_on_the_path(tmp_path / "bin")
    (tmp_path / "assets").mkdir()
    real = tmp_path / "real"
    real.write_text("upstream's")
    (tmp_path / "assets" / "kube-apiserver").symlink_to(real)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
        assert main(["assets", str(tmp_path / "assets")]) == 0
        patch.setenv("PATH", str(tmp_path / "assets"), prepend=":")
        assert main(["assets", str(tmp_path / "assets")]) == 0
    assert real.read_text() == "upstream's"
    assert (tmp_path / "assets" / "etcd").resolve() == (tmp_path / "bin" / "etcd").resolve()


def test_without_etcd_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert main(["assets", str(tmp_path)]) == 1
    assert "etcd is not on this machine (on Debian: apt install etcd-server)" in capsys.readouterr().err


def _etcd_on_the_path(directory: Path) -> None:
    directory.mkdir()
    (directory / "etcd").write_text("#!/bin/sh\n")
    (directory / "etcd").chmod(0o755)
