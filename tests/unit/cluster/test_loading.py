"""Loading a component leaves the process as it was."""

from __future__ import annotations

import gc
import os
import ssl
import subprocess
import sys

import pytest

from kubetree.cluster.loading import load


def test_collections_and_the_environment_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/some/file")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    assert load("ssl") is ssl
    assert gc.isenabled()
    assert os.environ["SSL_CERT_FILE"] == "/some/file"
    assert "SSL_CERT_DIR" not in os.environ
    gc.unfreeze()


def test_aiohttp_trusts_nobody_by_itself_and_kubetrees_contexts_trust_as_ever() -> None:
    code = (
        "from kubetree.cluster.loading import load; c = load('aiohttp.connector'); import ssl;"
        "assert c._SSL_CONTEXT_VERIFIED.verify_mode is ssl.CERT_REQUIRED and not c._SSL_CONTEXT_VERIFIED.get_ca_certs();"
        "import os; assert 'SSL_CERT_FILE' not in os.environ"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SSL_CERT")}
    subprocess.run([sys.executable, "-c", code], check=True, env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)})
