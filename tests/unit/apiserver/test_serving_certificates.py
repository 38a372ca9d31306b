"""What the server's TLS says to clients."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from kubetree.apiserver.options.config import Config, TLSFiles
from kubetree.apiserver.serving_certificates import ServingCertificates
from kubetree.client.self_signed import self_signed

NOW = datetime.now(UTC)


def written(directory: Path, name: str) -> tuple[Path, bytes]:
    """A certificate's file, its key's beside it, and its subject as it is on the wire."""
    certificate, key = self_signed(name, [], NOW)
    (directory / f"{name}.crt").write_bytes(certificate)
    (directory / f"{name}.key").write_bytes(key)
    return directory / f"{name}.crt", x509.load_pem_x509_certificate(certificate).subject.public_bytes()


def said_by(context: ssl.SSLContext) -> bytes:
    """The server's first words in TLS 1.2, in which what it asks of the client is not encrypted."""
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ours.check_hostname, ours.verify_mode, ours.maximum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2
    sent, received = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = ours.wrap_bio(received, sent), context.wrap_bio(sent, received, server_side=True)
    for side in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    return received.read()


def test_clients_are_told_which_authorities_count(tmp_path: Path) -> None:
    served, _ = written(tmp_path, "server")
    clients, of_clients = written(tmp_path, "clients")
    front, of_front = written(tmp_path, "front-proxy")
    tls = TLSFiles(served, served.with_suffix(".key"), clients)
    certificates = ServingCertificates(Config(tls=tls, requestheader_client_ca=front))
    said = said_by(certificates.context)
    assert of_clients in said
    assert of_front in said

    other, of_other = written(tmp_path, "other")
    os.replace(other, clients)
    assert certificates.reload()
    said = said_by(certificates.context)
    assert of_other in said
    assert of_clients not in said


def test_without_authorities_no_certificate_is_asked_for(tmp_path: Path) -> None:
    served, subject = written(tmp_path, "server")
    certificates = ServingCertificates(Config(tls=TLSFiles(served, served.with_suffix(".key"))))
    assert said_by(certificates.context).count(subject) == 2  # as subject and issuer of the server's own
