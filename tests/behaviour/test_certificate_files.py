"""Certificates and authorities that change on disk while the server runs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from behaviour.secured_server import Secured, secured_server
from kubetree.api import errors
from kubetree.api.kind_table import kind
from kubetree.apiserver import serving_certificates
from kubetree.apiserver.authentication import client_certificates
from kubetree.apiserver.options import configuration_files
from kubetree.client import Client, ClientConfig
from kubetree.cluster.certificates import Authority, KeyPair

pytestmark = pytest.mark.one_store

CONFIG_MAP, NAMESPACE = kind("v1", "ConfigMap"), kind("v1", "Namespace")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_certificates, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(configuration_files, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(client_certificates, "_LOOK_EVERY", 0.0)


def write(pair: KeyPair, directory: Path, name: str) -> None:
    (directory / f"{name}.crt").write_bytes(pair.certificate)
    (directory / f"{name}.key").write_bytes(pair.key)


async def shown(cluster: Secured, name: str = "") -> x509.Certificate:
    """The certificate that a new connection is shown when it asks for a host name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", cluster.server.port, ssl=context, server_hostname=name or None)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(der)


async def eventually(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not await holds():
            await asyncio.sleep(0.01)


async def test_clients_that_do_not_get_through_are_counted(tmp_path: Path) -> None:
    async with secured_server(tmp_path) as cluster:
        before = cluster.server.metrics.handshake_errors()
        reader, writer = await asyncio.open_connection("127.0.0.1", cluster.server.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.read()
        writer.close()
        assert cluster.server.metrics.handshake_errors() == before + 1
        await shown(cluster)
        assert cluster.server.metrics.handshake_errors() == before + 1


async def test_a_new_serving_certificate_is_shown_to_new_connections(tmp_path: Path) -> None:
    async with secured_server(tmp_path) as cluster:
        before = (await shown(cluster)).serial_number
        new = cluster.certificates.authority.server("renewed", ["127.0.0.1"], datetime.now(UTC))
        (tmp_path / "apiserver.crt").write_bytes(new.certificate)  # without its key yet: the old pair stays
        await asyncio.sleep(0.05)
        assert (await shown(cluster)).serial_number == before
        write(new, tmp_path, "apiserver")
        wanted = x509.load_pem_x509_certificate(new.certificate).serial_number

        async def renewed() -> bool:
            return (await shown(cluster)).serial_number == wanted

        await eventually(renewed)


async def test_certificates_are_chosen_by_the_name_asked_for(tmp_path: Path) -> None:
    authority = Authority.create("other", datetime.now(UTC))
    pairs = {name: authority.server(name, [host], datetime.now(UTC)) for name, host in (("a", "a.example.com"), ("b", "*.example.org"))}
    for name, pair in pairs.items():
        write(pair, tmp_path, name)
    keys = tuple((tmp_path / f"{name}.crt", tmp_path / f"{name}.key", ()) for name in pairs)
    async with secured_server(tmp_path, tls_sni_cert_keys=keys) as cluster:
        serials = {name: x509.load_pem_x509_certificate(pair.certificate).serial_number for name, pair in pairs.items()}
        assert (await shown(cluster, "a.example.com")).serial_number == serials["a"]
        assert (await shown(cluster, "any.example.org")).serial_number == serials["b"]
        assert (await shown(cluster, "elsewhere.net")).serial_number not in serials.values()


async def test_a_new_authority_of_clients_is_believed_and_published(tmp_path: Path) -> None:
    async with secured_server(tmp_path, disable_admission_plugins=("ServiceAccount",)) as cluster:
        old, new = cluster.certificates.authority, Authority.create("new", datetime.now(UTC))

        def config(authority: Authority) -> ClientConfig:
            pair = authority.client("admin", datetime.now(UTC), groups=("system:masters",))
            return ClientConfig(cluster.server.url, ca=old.certificate, client_cert=pair.certificate, client_key=pair.key)

        async with Client(config(old)) as before, Client(config(new)) as after:
            await before.list(NAMESPACE)
            with pytest.raises(errors.Unauthorized):
                await after.list(NAMESPACE)
            (tmp_path / "ca.crt").write_bytes(new.certificate)
            await after.list(NAMESPACE)
            with pytest.raises(errors.Unauthorized):
                await before.list(NAMESPACE)

            async def published() -> bool:
                found = await after.get(CONFIG_MAP, "extension-apiserver-authentication", "kube-system")
                return new.certificate.decode().strip() in found["data"]["client-ca-file"]

            await eventually(published)
