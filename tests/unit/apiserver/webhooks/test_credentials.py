"""What is shown to whom: the users of a kubeconfig by a webhook's host."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubetree.apiserver.webhooks import Credentials, Destination, load_credentials, of_client_config
from kubetree.apiserver.webhooks.exec_plugin import ExecPlugin, PluginFailed
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
    assert shown.headers == {"Authorization": f"Basic {base64.b64encode(b'u:p').decode()}"}
    assert shown.repeated == (("Impersonate-User", "someone"),)
    shown = loaded(tmp_path, {"*": {"tokenFile": "token"}}).to(url("https://a"))
    assert (shown.token_file, shown.headers) == (str(tmp_path / "token"), {})


def test_every_group_and_value_is_impersonated(tmp_path: Path) -> None:
    user: Object = {"as": "jane", "as-uid": "7", "as-groups": ["dev", "ops"], "as-user-extra": {"reason/why": ["a", "b"]}}
    assert loaded(tmp_path, {"*": user}).to(url("https://a")).repeated == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Extra-reason%2Fwhy", "a"),
        ("Impersonate-Extra-reason%2Fwhy", "b"),
    )


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='no Auth Provider found for name "x"'):
        loaded(tmp_path, {"*": {"auth-provider": {"name": "x"}}})
    for wrong, words in (
        ({"command": "login"}, "invalid apiVersion"),
        ({"apiVersion": API, "args": []}, "no command"),
        ({"apiVersion": API, "command": "login", "interactiveMode": "Always"}, "standard input is not a terminal"),
    ):
        with pytest.raises(ConfigError, match=words):
            loaded(tmp_path, {"*": {"exec": wrong}})
    with pytest.raises(ConfigError, match="No such file"):
        load_credentials(tmp_path / "none")


API = "client.authentication.k8s.io/v1"


def program(directory: Path, text: str) -> Object:
    file = directory / "login"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return {"apiVersion": API, "command": "./login", "args": ["one"], "env": [{"name": "WHO", "value": "me"}]}


_LOGIN = """echo again >> $0.asked
echo "$KUBERNETES_EXEC_INFO" > $0.info
cat <<END
{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
 "status": {"token": "$WHO-$1-$(wc -l < $0.asked)", "expirationTimestamp": "2026-01-01T00:10:00Z"}}
END"""


async def test_a_program_gives_credentials_until_they_expire(tmp_path: Path) -> None:
    spec = program(tmp_path, _LOGIN)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    plugin = ExecPlugin(spec, tmp_path / "kubeconfig", lambda: now)
    first = await plugin.credentials()
    assert first.token == "me-one-1" and (await plugin.credentials()) is first
    assert json.loads((tmp_path / "login.info").read_text()) == {
        "kind": "ExecCredential",
        "apiVersion": API,
        "spec": {"interactive": False},
    }
    plugin.forget(first)
    assert (await plugin.credentials()).token == "me-one-2"
    now += timedelta(minutes=11)
    assert (await plugin.credentials()).token == "me-one-3"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exit 3", "failed with exit code 3"),
        ("echo no", "decoding stdout"),
        ('echo \'{"apiVersion": "other/v1"}\'', f"exec plugin is configured to use API version {API}, plugin returned version other/v1"),
        (f'echo \'{{"apiVersion": "{API}"}}\'', "didn't return a status field"),
        (f'echo \'{{"apiVersion": "{API}", "status": {{}}}}\'', "didn't return a token or cert/key pair"),
        (f'echo \'{{"apiVersion": "{API}", "status": {{"clientKeyData": "k"}}}}\'', "returned only certificate or key, not both"),
    ],
)
async def test_programs_that_give_none_are_said_to(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PluginFailed, match=words):
        await ExecPlugin(program(tmp_path, text), tmp_path / "kubeconfig").credentials()


async def test_a_program_that_is_not_there_comes_with_its_hint(tmp_path: Path) -> None:
    spec = {"apiVersion": API, "command": "./none", "installHint": "get it somewhere"}
    with pytest.raises(PluginFailed, match="none not found: No such file or directory\n\nget it somewhere"):
        await ExecPlugin(spec, tmp_path / "kubeconfig").credentials()
