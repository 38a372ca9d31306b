"""Lets TLS take any client certificate, so that a bad one is answered 401 as upstream does, and not by a broken connection.

kube-apiserver asks for certificates without verifying them (tls.RequestClientCert) and leaves the verdict to its authenticators.
Python's ssl can only verify or not ask; OpenSSL itself has the choice, in SSL_CTX_set_cert_verify_callback. Whoever uses this must
verify the certificate themselves: `authentication.client_certificates` does.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
import sys

_Verify = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_accept = _Verify(lambda store, argument: 1)
"""Called by OpenSSL for every certificate; a global, since OpenSSL keeps no reference."""


def accept_any_client_certificate(context: ssl.SSLContext) -> bool:
    """Asks clients for a certificate and takes what they send. False where this Python has no way to: then nothing is changed."""
    if sys.implementation.name != "cpython":
        return False
    try:
        library = ctypes.CDLL(_ssl.__file__)
        set_callback, get_options = library.SSL_CTX_set_cert_verify_callback, library.SSL_CTX_get_options
    except (AttributeError, OSError):
        return False
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    get_options.argtypes, get_options.restype = [ctypes.c_void_p], ctypes.c_uint64
    if int(get_options(pointer)) & 0xFFFFFFFF != int(context.options) & 0xFFFFFFFF:
        return False
    set_callback.argtypes, set_callback.restype = [ctypes.c_void_p, _Verify, ctypes.c_void_p], None
    set_callback(pointer, _accept, None)
    context.verify_mode = ssl.CERT_OPTIONAL
    return True
