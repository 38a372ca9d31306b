"""What lies in the store when values are encrypted, and what the API shows of it."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from behaviour.apiserver_harness import MAPS, config_map, running_server
from kubetree.apiserver.options import configuration_files
from storage_modes import Place

SECRETS = "/api/v1/namespaces/default/secrets"
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
KEY = "/registry/secrets/default/s"


def configuration(path: Path, *providers: str) -> Path:
    """`providers`: aescbc:NAME, aesgcm:NAME, secretbox:NAME or identity."""
    made = []
    for provider in providers:
        kind, _, name = provider.partition(":")
        secret = base64.b64encode(name.encode().ljust(32)).decode()
        made.append(f"{{{kind}: {{keys: [{{name: {name}, secret: {secret}}}]}}}}" if name else "{identity: {}}")
    rules = f"resources: [{{resources: [secrets], providers: [{', '.join(made)}]}}]"
    path.write_text(f"apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n{rules}\n")
    return path


def name_of(place: Place) -> str:
    """What the secret's key is called where it lies."""
    return KEY.replace("/registry", place.settings.get("etcd_prefix", "/registry"))


async def raw(place: Place, key: str = KEY) -> bytes:
    async with place.opened() as store:
        entry, _ = await store.get(key)
    assert entry is not None
    return entry.value


async def test_secrets_are_encrypted_and_everything_else_is_not(place: Place, tmp_path: Path) -> None:
    async with running_server(place, encryption_provider_config=configuration(tmp_path / "e", "aescbc:one", "identity")) as http:
        start = (await http.get(SECRETS)).json["metadata"]["resourceVersion"]
        assert (await http.post(SECRETS, SECRET)).status == 201
        await http.post(MAPS, config_map("m", a="b"))
        value = await raw(place)
        assert value.startswith(b"k8s:enc:aescbc:v1:one:") and b"hunter2" not in base64.b64decode(base64.b64encode(value))
        assert (await raw(place, "/registry/configmaps/default/m")).startswith(b'{"kind":"ConfigMap"')
        read = (await http.get(f"{SECRETS}/s")).json
        assert base64.b64decode(read["data"]["password"]) == b"hunter2"
        async with http.watch(f"{SECRETS}?watch=1&resourceVersion={start}") as events:
            assert (await anext(events))["object"]["data"] == read["data"]
        patched = await http.patch(f"{SECRETS}/s", {"data": {"more": "eA=="}})
        assert patched.json["data"].keys() == {"password", "more"}
        assert (await http.delete(f"{SECRETS}/s")).status == 200


async def test_keys_are_rotated_by_writing_everything_again(place: Place, tmp_path: Path) -> None:
    """A value under an old key is read, and an update that changes nothing writes it under the new one; with the new key it does not."""
    async with running_server(place) as http:
        await http.post(SECRETS, SECRET)
    before = "{"
    for providers, prefix in (
        (("aesgcm:one", "identity"), "k8s:enc:aesgcm:v1:one:"),
        (("secretbox:two", "aesgcm:one"), "k8s:enc:secretbox:v1:two:"),
        (("identity", "secretbox:two"), "{"),
    ):
        async with running_server(place, encryption_provider_config=configuration(tmp_path / "e", *providers)) as http:
            assert (await raw(place)).startswith(before.encode())
            secret = (await http.get(f"{SECRETS}/s")).json
            written = (await http.put(f"{SECRETS}/s", secret)).json
            assert (await raw(place)).startswith(prefix.encode())
            assert written["metadata"]["resourceVersion"] != secret["metadata"]["resourceVersion"]
            again = (await http.put(f"{SECRETS}/s", written)).json
            assert again["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]
        before = prefix


async def test_a_lost_key_is_an_error_for_its_kind_only(place: Place, tmp_path: Path) -> None:
    async with running_server(place, encryption_provider_config=configuration(tmp_path / "e", "aescbc:one")) as http:
        await http.post(SECRETS, SECRET)
    async with running_server(place, encryption_provider_config=configuration(tmp_path / "e", "aescbc:two")) as http:
        for path in (SECRETS, f"{SECRETS}/s"):
            answer = await http.get(path)
            assert answer.status == 500
            assert (
                f'unable to transform key "{name_of(place)}": no matching key was found for the provided AES transformer'
                in answer.json["message"]
            )
        assert (await http.post(MAPS, config_map("m"))).status == 201


async def test_the_file_is_taken_up_when_it_changes_and_a_bad_one_is_not(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration_files, "POLL_SECONDS", 0.01)
    path = configuration(tmp_path / "e", "aescbc:one")
    reloading = {"encryption_provider_config": path, "encryption_provider_config_automatic_reload": True}
    async with running_server(place, **reloading) as http:
        await http.post(SECRETS, SECRET)
        path.write_text("nonsense")
        await asyncio.sleep(0.05)
        assert (await http.get(f"{SECRETS}/s")).status == 200
        configuration(path, "secretbox:two", "aescbc:one")
        async with asyncio.timeout(30):
            while not (await raw(place)).startswith(b"k8s:enc:secretbox:v1:two:"):
                secret = (await http.get(f"{SECRETS}/s")).json
                await http.put(f"{SECRETS}/s", secret)
                await asyncio.sleep(0.01)
        assert (await http.get("/healthz/kms-providers")).text == "ok"
