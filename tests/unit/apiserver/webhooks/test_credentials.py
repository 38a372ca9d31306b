"""What is shown to whom: the users of a kubeconfig by a webhook's host."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubetree.apiserver.webhooks import Credentials, Destination, load_credentials, of_client_config
from kubetree.client.config import ConfigError

Object = dict[str, Any]


def loaded(directory: Path, users: dict[str, Object], **more: Any) -> Credentials:
    file = directory / "kubeconfig"
    entries = [{"name": name, "user": user} for name, user in users.items()]
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "users": entries, **more}))
    return load_credentials(file)


def url(text: str) -> Destination:
    return of_client_config({"url": text})


def service(namespace: str, name: str, port: int = 443) -> Destination:
    return of_client_config({"service": {"namespace": namespace, "name": name, "port": port}})


@pytest.mark.parametrize(
    ("destination", "token"),
    [
        (url("https://hook.example.com/x"), "exact"),
        (url("https://hook.example.com:443/x"), "exact"),
        (url("https://hook.example.com:8443/x"), "port"),
        (url("https://other.example.com:8443/x"), "star with port"),
        (url("https://other.example.com/x"), "star"),
        (url("https://deep.other.example.com/x"), "star"),
        (url("https://example.com/x"), "any"),
        (url("https://[::1]/x"), "any"),
        (service("ns", "hook"), "service"),
        (service("ns", "other"), "services"),
        (service("ns", "other", 8443), "any"),
    ],
)
def test_the_nearest_name_counts(tmp_path: Path, destination: Destination, token: str) -> None:
    names = {
        "hook.example.com": "exact",
        "hook.example.com:8443": "port",
        "*.example.com:8443": "star with port",
        "*.example.com": "star",
        "hook.ns.svc": "service",
        "*.ns.svc": "services",
        "*": "any",
    }
    credentials = loaded(tmp_path, {name: {"token": token} for name, token in names.items()})
    assert credentials.to(destination).headers == {"Authorization": f"Bearer {token}"}


def test_others_are_shown_what_the_current_context_names_or_nothing(tmp_path: Path) -> None:
    contexts = {"contexts": [{"name": "here", "context": {"user": "me"}}], "current-context": "here"}
    users = {"me": {"token": "mine"}, "hook.example.com": {"token": "its"}}
    there = url("https://other.example.com/x")
    assert loaded(tmp_path, users, **contexts).to(there).headers == {"Authorization": "Bearer mine"}
    assert loaded(tmp_path, users).to(there) is there
    assert Credentials().to(there) is there


def test_passwords_certificates_token_files_and_impersonation(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_bytes(b"certificate")
    user: Object = {"client-certificate": "cert.pem", "client-key-data": base64.b64encode(b"key").decode(), "as": "someone"}
    config = {"url": "https://a", "caBundle": base64.b64encode(b"ca").decode()}
    shown = loaded(tmp_path, {"*": {**user, "username": "u", "password": "p"}}).to(of_client_config(config))
    assert (shown.trust.ca, shown.trust.certificate, shown.trust.key) == (b"ca", b"certificate", b"key")
    assert shown.headers == {"Authorization": f"Basic {base64.b64encode(b'u:p').decode()}", "Impersonate-User": "someone"}
    shown = loaded(tmp_path, {"*": {"tokenFile": "token"}}).to(url("https://a"))
    assert (shown.token_file, shown.headers) == (str(tmp_path / "token"), {})


def test_users_that_need_a_program_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="need a program"):
        loaded(tmp_path, {"*": {"exec": {"command": "login"}}})
    with pytest.raises(ConfigError, match="No such file"):
        load_credentials(tmp_path / "none")
