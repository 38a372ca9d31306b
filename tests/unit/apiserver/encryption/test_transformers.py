"""Ciphers that upstream's server reads and writes too, and the choice between them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.apiserver.encryption.aes import CBC, GCM, DerivedGCM
from kubetree.apiserver.encryption.build import Providers, secret_box
from kubetree.apiserver.encryption.configuration import parse_encryption
from kubetree.apiserver.encryption.store import plain_value
from kubetree.apiserver.encryption.transformers import ByPrefix, Identity, Transformer, TransformError, UnreadableValue

KEY = "sbpGGwd5P4UboZLEOnMj2jpPRIDpI0p3YEtux8qd0mg="
OTHER = base64.b64encode(b"o" * 32).decode()
HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n"
CIPHERS: dict[str, Any] = {"gcm": GCM, "cbc": CBC, "derived": DerivedGCM, "secretbox": secret_box}


def providers(resources: str) -> Providers:
    entries = parse_encryption(f"{HEAD}resources:\n{resources}".encode())
    return Providers(entries, lambda: 0.0, lambda: "uid", lambda *_: pytest.fail("no plugin"))


def provider(kind: str, name: str = "key1", secret: str = KEY) -> str:
    return f"{{{kind}: {{keys: [{{name: {name}, secret: {secret}}}]}}}}"


@pytest.mark.parametrize(
    ("key", "kind", "expected"),
    [
        ("/registry/secrets/default/g", "aescbc", {"kind": "Secret", "data": {"a": "Yg=="}}),
        ("/registry/configmaps/default/g", "secretbox", {"kind": "ConfigMap", "data": {"a": "b"}}),
        ("/registry/controllerrevisions/default/g", "aesgcm", {"kind": "ControllerRevision", "revision": 1}),
    ],
)
def test_what_upstreams_server_wrote_is_read(key: str, kind: str, expected: dict[str, Any]) -> None:
    """Values of an etcd that kube-apiserver v1.36 wrote: encrypted protobuf."""
    value = base64.b64decode(json.loads((Path(__file__).parent / "written_by_upstream.json").read_text())[key])
    transformer = providers(f"- {{resources: ['*.*'], providers: [{provider(kind)}]}}").of("any", "")
    found = json.loads(plain_value(lambda _: transformer, key, value).value)
    assert found["metadata"]["name"] == "g" and expected.items() <= found.items()


@pytest.mark.parametrize("name", CIPHERS)
@given(value=st.binary(), context=st.binary())
def test_what_goes_in_comes_out(name: str, value: bytes, context: bytes) -> None:
    cipher: Transformer = CIPHERS[name](b"k" * 32)
    data = cipher.encrypt(value, context)
    assert cipher.decrypt(data, context) == (value, False)
    assert cipher.encrypt(value, context) != data


@pytest.mark.parametrize("name", CIPHERS)
def test_damage_and_other_keys_are_noticed(name: str) -> None:
    cipher: Transformer = CIPHERS[name](b"k" * 32)
    data = cipher.encrypt(b"secret value", b"/a")
    for wrong in (data[:5], data[:-1], b""):
        with pytest.raises(TransformError):
            cipher.decrypt(wrong, b"/a")
    if name in ("gcm", "derived"):
        with pytest.raises(TransformError):
            cipher.decrypt(data, b"/b")
    if name != "cbc":
        with pytest.raises(TransformError):
            CIPHERS[name](b"x" * 32).decrypt(data, b"/a")


def test_the_first_writes_and_everything_else_is_stale() -> None:
    both = f"[{provider('aescbc')}, {provider('aescbc', secret=OTHER)}, {{identity: {{}}}}]"
    chosen = providers(f"- {{resources: [secrets], providers: {both}}}").of("secrets", "")
    old = providers(f"- {{resources: [secrets], providers: [{provider('aescbc', secret=OTHER)}]}}").of("secrets", "")
    assert chosen.encrypt(b"v", b"/a").startswith(b"k8s:enc:aescbc:v1:key1:")
    assert chosen.decrypt(chosen.encrypt(b"v", b"/a"), b"/a") == (b"v", False)
    assert chosen.decrypt(old.encrypt(b"v", b"/a"), b"/a") == (b"v", True)
    assert chosen.decrypt(b"{}", b"/a") == (b"{}", True)


def test_a_second_key_of_one_provider_is_stale_as_well() -> None:
    keys = f"{{name: new, secret: {KEY}}}, {{name: old, secret: {OTHER}}}"
    chosen = providers(f"- {{resources: [secrets], providers: [{{aesgcm: {{keys: [{keys}]}}}}]}}").of("secrets", "")
    old = ByPrefix([(b"k8s:enc:aesgcm:v1:", ByPrefix([(b"old:", GCM(b"o" * 32))], ""))], "")
    assert chosen.decrypt(old.encrypt(b"v", b"/a"), b"/a") == (b"v", True)


def test_what_no_provider_knows_is_refused() -> None:
    chosen = providers(f"- {{resources: [secrets], providers: [{provider('aescbc')}]}}").of("secrets", "")
    cases = {b"{}": "no matching prefix found", b"k8s:enc:aescbc:v1:x:": "no matching key was found for the provided AES transformer"}
    for data, message in cases.items():
        with pytest.raises(UnreadableValue, match=f'unable to transform key "/registry/secrets/a/b": {message}'):
            plain_value(lambda _: chosen, "/registry/secrets/a/b", data)
    with pytest.raises(TransformError, match="identity transformer tried to read encrypted data"):
        Identity().decrypt(b"k8s:enc:aescbc:v1:x:", b"")


def test_the_most_exact_rule_decides() -> None:
    rules = f"""
- {{resources: [secrets], providers: [{provider("aescbc")}]}}
- {{resources: ['*.apps'], providers: [{provider("aesgcm")}]}}
- {{resources: ['*.'], providers: [{{identity: {{}}}}]}}
- {{resources: ['*.*'], providers: [{provider("secretbox")}]}}
"""
    found = providers(rules)
    asked = {("secrets", ""): b"aescbc", ("pods", ""): b"v", ("deployments", "apps"): b"aesgcm", ("widgets", "example.com"): b"secretbox"}
    for (resource, group), expected in asked.items():
        assert expected in found.of(resource, group).encrypt(b"v", b"/")[:20]


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ("[]", "resources: Required value: at least one resources is required"),
        ("[{resources: [], providers: [{identity: {}}]}]", "at least one resources[0].resources is required"),
        ("[{resources: [Pods], providers: [{identity: {}}]}]", "resource name should not contain capital letters"),
        ("[{resources: ['*'], providers: [{identity: {}}]}]", "use '*.' to encrypt all the resources from core API group"),
        ("[{resources: [secrets, '*.'], providers: [{identity: {}}]}]", "using overlapping resources such as 'secrets' and '*.'"),
        ("[{resources: [secrets, secrets], providers: [{identity: {}}]}]", "the same resource cannot be specified multiple times"),
        ("[{resources: ['pods.*'], providers: [{identity: {}}]}]", "encrypting the same resource across groups is not supported"),
        ("[{resources: [a.events.k8s.io], providers: [{identity: {}}]}]", "Use 'events' instead in the config file"),
        ("[{resources: [a], providers: []}]", "at least one resources[0].providers is required"),
        ("[{resources: [a], providers: [{}]}]", "provider does not contain any of the expected providers"),
        ("[{resources: [a], providers: [{aescbc: {keys: []}}]}]", "resources[0].providers[0].aescbc.keys: Required value"),
        ("[{resources: [a], providers: [{aescbc: {keys: [{name: a, secret: c2hvcnQ=}]}}]}]", "got 5, expected one of [16 24 32]"),
        ("[{resources: [a], providers: [{aescbc: {keys: [{name: a, secret: '!'}]}}]}]", "secrets must be base64 encoded"),
        ("[{resources: [a], providers: [{kms: {apiVersion: v2, name: 'a:b', endpoint: 'unix:///x'}}]}]", "must not contain ':'"),
        ("[{resources: [a], providers: [{kms: {apiVersion: v2, name: a, endpoint: 'tcp://x'}}]}]", 'unsupported scheme "tcp"'),
        ("[{resources: [a], providers: [{kms: {apiVersion: v1, name: a, endpoint: 'unix:///x'}}]}]", "KMSv1 is deprecated"),
        ("[{resources: ['*.*'], providers: [{identity: {}}]}, {resources: [a], providers: [{identity: {}}]}]", "is masked by earlier rule"),
        ("[{resources: [a], providers: [{identity: {}}], extra: 1}]", 'unknown field "resources[0].extra"'),
    ],
)
def test_bad_configurations_say_what_is_wrong(resources: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_encryption(f"{HEAD}resources: {resources}".encode())
    assert message in str(refused.value)
    assert "c2hvcnQ" not in str(refused.value)
