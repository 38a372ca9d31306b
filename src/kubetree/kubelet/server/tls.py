"""The certificate of the kubelet's port: the one that flags name, or one made here and kept."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from kubetree.client.self_signed import self_signed


def context(cert_file: str, key_file: str, client_ca_file: str) -> ssl.SSLContext:
    """Client certificates are asked for when there is an authority to check them, but need not be given."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(cert_file, key_file)
    made.set_alpn_protocols(["http/1.1"])
    if client_ca_file:
        made.load_verify_locations(client_ca_file)
        made.verify_mode = ssl.CERT_OPTIONAL
    return made


def own_certificate(directory: Path, name: str, addresses: Sequence[str]) -> tuple[str, str]:
    """Certificate and key files below `directory`, made and self-signed when they are not there."""
    certificate, key_file = directory / "kubelet.crt", directory / "kubelet.key"
    if certificate.exists() and key_file.exists():
        return str(certificate), str(key_file)
    directory.mkdir(parents=True, exist_ok=True)
    public, private = self_signed(name, addresses, datetime.now(UTC))
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private)
    certificate.write_bytes(public)
    return str(certificate), str(key_file)
