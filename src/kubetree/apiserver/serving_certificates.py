"""What the server shows and accepts in TLS: its certificates, by name where it has several, taken up anew when the files change.

Follows apiserver's dynamiccertificates. Which authority a client's certificate comes from, and whether that will do, is for the
authenticators to say; here any is asked for and taken.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from kubetree.apiserver.openssl import accept_any_client_certificate, name_client_authorities
from kubetree.apiserver.options.config import Config

log = logging.getLogger(__name__)
LOOK_EVERY = 1.0
"""Seconds between looks at the files."""

VERSIONS = {
    "": ssl.TLSVersion.TLSv1_2,
    "VersionTLS10": ssl.TLSVersion.TLSv1,
    "VersionTLS11": ssl.TLSVersion.TLSv1_1,
    "VersionTLS12": ssl.TLSVersion.TLSv1_2,
    "VersionTLS13": ssl.TLSVersion.TLSv1_3,
}
CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
"""Go's names of the suites below TLS 1.3 that are safe, and OpenSSL's."""
ALWAYS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""Of TLS 1.3, which are not chosen."""


class Named(NamedTuple):
    """A certificate for clients that ask for one of `names` (`*.example.com` for any one label); without names, those in it."""

    certificate: Path
    key: Path
    names: tuple[str, ...] = ()


class ServingCertificates:
    """`context` is for the listener. Raises OSError, ssl.SSLError and ValueError for files that cannot be used."""

    def __init__(self, config: Config) -> None:
        if config.tls is None:
            raise ValueError("a server without TLS files has no certificates to serve with")
        self._config = config
        self.handshake_errors = 0
        """Clients that did not get through TLS."""
        self._handshakes = _counting(self._handshake_failed)
        self._default = Named(config.tls.certificate, config.tls.key)
        self._authorities = [path for path in (config.tls.client_ca, config.requestheader_client_ca) if path is not None]
        self._pairs = [self._default, *(Named(*given) for given in config.tls_sni_cert_keys)]
        self._contexts = [self._context(pair) for pair in self._pairs]
        self._names = _by_name(zip(self._pairs[1:], self._contexts[1:], strict=True))
        self._seen = self._stamp()
        self.context = self._contexts[0]
        if self._names:
            self.context.sni_callback = self._choose

    def _context(self, pair: Named) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sslobject_class = self._handshakes
        context.minimum_version = VERSIONS[self._config.tls_min_version]
        chosen = [CIPHERS[name] for name in self._config.tls_cipher_suites if name in CIPHERS]
        if chosen:
            context.set_ciphers(":".join(dict.fromkeys(chosen)))
        context.load_cert_chain(pair.certificate, pair.key)
        context.set_alpn_protocols(["http/1.1"])
        for authority in self._authorities:
            context.load_verify_locations(authority)
            context.verify_mode = ssl.CERT_OPTIONAL
        if context.verify_mode == ssl.CERT_OPTIONAL:
            accept_any_client_certificate(context)
            name_client_authorities(context, self._authorities)
        return context

    def _handshake_failed(self) -> None:
        self.handshake_errors += 1

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
        """For each handshake: the certificate of the name asked for, else of the name with its first label free, else the default."""
        asked = (name or "").lower()
        found = self._names.get(asked) or self._names.get(f"*.{asked.partition('.')[2]}")
        if found is not None:
            connection.context = found

    def _stamp(self) -> list[tuple[int, int, int]]:
        files = [file for pair in self._pairs for file in pair[:2]]
        found = [path.stat() for path in [*files, *self._authorities]]
        return [(stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in found]

    def reload(self) -> bool:
        """Takes up what has changed; connections that stand keep what they have. Returns whether there was anything. A pair that does
        not fit is refused whole: then the old one stays."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        for pair in self._pairs:
            self._context(pair)
        for pair, context in zip(self._pairs, self._contexts, strict=True):
            context.load_cert_chain(pair.certificate, pair.key)
            for authority in self._authorities:
                context.load_verify_locations(authority)
            name_client_authorities(context, self._authorities)
        self._seen = stamp
        return True

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                if self.reload():
                    log.info("serving with new certificates from %s", ", ".join(str(pair.certificate) for pair in self._pairs))
            except (OSError, ssl.SSLError, ValueError) as error:
                log.error("the files of the serving certificate cannot be used, the old one stays: %s", error)


def _counting(failed: Callable[[], None]) -> type[ssl.SSLObject]:
    """A connection's TLS that tells of handshakes that fail: the event loop says nothing of them."""

    class Handshakes(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError:
                failed()
                raise

    return Handshakes


def _by_name(pairs: Iterable[tuple[Named, ssl.SSLContext]]) -> dict[str, ssl.SSLContext]:
    """The first pair that has a name gets it."""
    found: dict[str, ssl.SSLContext] = {}
    for pair, context in pairs:
        for name in pair.names or names_in(pair.certificate):
            found.setdefault(name.lower(), context)
    return found


def names_in(certificate: Path) -> Sequence[str]:
    """The host names of a PEM certificate: those of its extension, else its common name."""
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    try:
        extension = loaded.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        assert isinstance(extension, x509.SubjectAlternativeName)
        return extension.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return [str(name.value) for name in loaded.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
