"""What OpenSSL can do for a server and Python's ssl has no words for: taking any client certificate, and saying which authorities count.

kube-apiserver asks for certificates without verifying them (tls.RequestClientCert) and leaves the verdict to its authenticators, so that a
bad one is answered 401 and not by a broken connection. Whoever uses this must verify the certificate themselves:
`authentication.client_certificates` does. It also names the authorities whose certificates it knows, from which clients choose one.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
import sys
from collections.abc import Iterable
from pathlib import Path

_Verify = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_accept = _Verify(lambda store, argument: 1)
"""Called by OpenSSL for every certificate; a global, since OpenSSL keeps no reference."""


def accept_any_client_certificate(context: ssl.SSLContext) -> bool:
    """Asks clients for a certificate and takes what they send. False where this Python has no way to: then nothing is changed."""
    library, pointer = _openssl(context)
    if library is None:
        return False
    set_callback = library.SSL_CTX_set_cert_verify_callback
    set_callback.argtypes, set_callback.restype = [ctypes.c_void_p, _Verify, ctypes.c_void_p], None
    set_callback(pointer, _accept, None)
    context.verify_mode = ssl.CERT_OPTIONAL
    return True


def name_client_authorities(context: ssl.SSLContext, files: Iterable[Path]) -> bool:
    """Tells clients the subjects of the certificates in the PEM files, instead of those told before. False as above."""
    library, pointer = _openssl(context)
    if library is None:
        return False
    new, add, give = library.OPENSSL_sk_new_null, library.SSL_add_file_cert_subjects_to_stack, library.SSL_CTX_set_client_CA_list
    new.restype = ctypes.c_void_p
    add.argtypes, add.restype = [ctypes.c_void_p, ctypes.c_char_p], ctypes.c_int
    give.argtypes, give.restype = [ctypes.c_void_p, ctypes.c_void_p], None
    names = new()
    for file in files:
        add(names, str(file).encode())
    give(pointer, names)  # which owns the list from here on
    return True


def _openssl(context: ssl.SSLContext) -> tuple[ctypes.CDLL | None, ctypes.c_void_p]:
    """The library and the SSL_CTX that the context is around, where both are what they are taken for."""
    if sys.implementation.name != "cpython":
        return None, ctypes.c_void_p()
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    try:
        library = ctypes.CDLL(_ssl.__file__)
        get_options = library.SSL_CTX_get_options
        for name in _NEEDED:
            getattr(library, name)
    except (AttributeError, OSError):
        return None, pointer
    get_options.argtypes, get_options.restype = [ctypes.c_void_p], ctypes.c_uint64
    if int(get_options(pointer)) & 0xFFFFFFFF != int(context.options) & 0xFFFFFFFF:
        return None, pointer
    return library, pointer


_NEEDED = (
    "SSL_CTX_set_cert_verify_callback",
    "SSL_CTX_set_client_CA_list",
    "SSL_add_file_cert_subjects_to_stack",
    "OPENSSL_sk_new_null",
)
