"""Whom a call believes: certificate authorities and client certificates as TLS contexts, made once for each distinct set."""

from __future__ import annotations

import ssl
from collections import OrderedDict
from dataclasses import dataclass

from kubetree.client.config import load_key_pair

_MOST = 200


@dataclass(frozen=True, slots=True)
class Trust:
    """`ca`, `certificate` and `key` are PEM; without `ca` the machine's authorities are believed, `insecure` believes anyone."""

    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    insecure: bool = False


class TrustCache:
    """A TLS context for each distinct set of authorities and client certificate, made once."""

    def __init__(self) -> None:
        self._contexts: OrderedDict[Trust, ssl.SSLContext] = OrderedDict()

    def context(self, trust: Trust) -> ssl.SSLContext:
        """Raises ValueError for what is no PEM, in upstream's wording."""
        found = self._contexts.get(trust)
        if found is None:
            found = self._contexts[trust] = _context(trust)
            if len(self._contexts) > _MOST:
                self._contexts.popitem(last=False)
        else:
            self._contexts.move_to_end(trust)
        return found


def _context(trust: Trust) -> ssl.SSLContext:
    """As Go verifies: every certificate given is an authority, root or not, and a common name is no host name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    if trust.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trust.ca:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cadata=trust.ca.decode("ascii"))
        except (ssl.SSLError, UnicodeDecodeError):
            raise ValueError("unable to load root certificates: unable to parse bytes as PEM block") from None
    else:
        context.load_default_certs()
    if trust.certificate and trust.key:
        load_key_pair(context, trust.certificate, trust.key)
    return context
