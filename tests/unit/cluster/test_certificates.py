"""The certificates of a cluster verify with OpenSSL, name whom they should, and are kept private on disk."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from kubetree.cluster.certificates import Authority, ClusterCertificates, KeyPair, node_client

NOW = datetime.now(UTC).replace(microsecond=0)


def _context(purpose: ssl.Purpose, pair: KeyPair, ca: bytes, directory: Path) -> ssl.SSLContext:
    certificate, key = directory / f"{purpose.name}.crt", directory / f"{purpose.name}.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    context = ssl.create_default_context(purpose, cadata=ca.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(certificate, key)
    return context


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> dict[str, object]:
    """The client's certificate as the server sees it."""
    a, b = socket.socketpair()
    seen: list[object] = []

    def serve() -> None:
        try:
            with server.wrap_socket(a, server_side=True) as tls:
                seen.append(tls.getpeercert())
        except ssl.SSLError as error:
            seen.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(b, server_hostname=host) as tls:
            tls.recv(1)
    finally:
        b.close()
        thread.join()
    assert isinstance(seen[0], dict), seen[0]
    return seen[0]


@pytest.fixture(scope="module")
def certificates() -> ClusterCertificates:
    return ClusterCertificates.create(["10.0.0.5", "k8s.example"], NOW)


@pytest.mark.parametrize("host", ["10.0.0.5", "k8s.example", "localhost", "127.0.0.1", "10.96.0.1", "kubernetes.default.svc.cluster.local"])
def test_server_and_client_certificates_make_a_mutual_handshake(certificates: ClusterCertificates, tmp_path: Path, host: str) -> None:
    ca = certificates.authority.certificate
    server = _context(ssl.Purpose.CLIENT_AUTH, certificates.apiserver, ca, tmp_path)
    server.verify_mode = ssl.CERT_REQUIRED
    client = _context(ssl.Purpose.SERVER_AUTH, certificates.admin, ca, tmp_path)
    peer = _handshake(server, client, host)
    assert peer["subject"] == ((("organizationName", "system:masters"),), (("commonName", "kubernetes-admin"),))


def test_a_server_certificate_of_another_authority_or_for_another_host_is_refused(
    certificates: ClusterCertificates, tmp_path: Path
) -> None:
    server = _context(ssl.Purpose.CLIENT_AUTH, certificates.apiserver, certificates.authority.certificate, tmp_path)
    client = _context(ssl.Purpose.SERVER_AUTH, certificates.admin, certificates.authority.certificate, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(server, client, "elsewhere.example")
    other = _context(ssl.Purpose.SERVER_AUTH, certificates.admin, certificates.front_proxy_authority.certificate, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(server, other, "localhost")


def test_a_node_certificate_names_the_node_and_the_nodes_group() -> None:
    pair = node_client(Authority.create("kubernetes", NOW), "node-1", NOW)
    subject = x509.load_pem_x509_certificate(pair.certificate).subject
    assert [a.value for a in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["system:node:node-1"]
    assert [a.value for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["system:nodes"]
    assert pair.expires == NOW + timedelta(days=365)


def test_written_files_are_read_back_and_keys_are_private(certificates: ClusterCertificates, tmp_path: Path) -> None:
    directory = tmp_path / "pki"
    certificates.write(directory)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert set(modes) == set(certificates.files())
    assert {mode for name, mode in modes.items() if name.endswith(".key")} == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    again = ClusterCertificates.read(directory)
    assert again.files() == certificates.files()
    assert again.authority.client("x", NOW).expires > NOW


def test_the_service_account_keys_belong_together(certificates: ClusterCertificates) -> None:
    private = serialization.load_pem_private_key(certificates.service_account.private, None)
    public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert public == certificates.service_account.public


def test_reading_an_incomplete_directory_names_the_missing_file(certificates: ClusterCertificates, tmp_path: Path) -> None:
    certificates.write(tmp_path)
    (tmp_path / "scheduler.key").unlink()
    with pytest.raises(FileNotFoundError, match=r"scheduler\.key"):
        ClusterCertificates.read(tmp_path)
