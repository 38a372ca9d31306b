"""libnftables through ctypes: text in, one transaction, error text out.

The text is nft(8)'s own language, so that what a component sends can be read, pasted into `nft -f` and compared with golden files.
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache

from kubetree.kernel.memory import give_back

LIBRARY = "libnftables.so.1"
_OUTPUT_JSON = 1 << 4
_LARGE = 1 << 20
"""Bytes of a transaction that leaves much memory behind."""


class NftablesError(Exception):
    """The kernel or the parser refused a transaction; nothing of it was done."""


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise NftablesError(f"cannot load {LIBRARY} ({error}); install the package libnftables1 (Debian, Ubuntu) or nftables") from error
    context, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("nft_ctx_new", context, [ctypes.c_uint32]),
        ("nft_ctx_free", None, [context]),
        ("nft_ctx_buffer_output", ctypes.c_int, [context]),
        ("nft_ctx_buffer_error", ctypes.c_int, [context]),
        ("nft_ctx_get_output_buffer", text, [context]),
        ("nft_ctx_get_error_buffer", text, [context]),
        ("nft_ctx_output_set_flags", None, [context, ctypes.c_uint]),
        ("nft_run_cmd_from_buffer", ctypes.c_int, [context, text]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Nftables:
    """A handle on the nf_tables of the network namespace that the process is in. Any thread may call; calls take turns."""

    def __init__(self) -> None:
        self._library = _library()
        self._context = self._library.nft_ctx_new(0)
        self._lock = threading.Lock()
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, text: str, *, json: bool = False) -> str:
        """Runs commands as one transaction, all or nothing, and returns their output. The GIL is free meanwhile.

        Raises NftablesError.
        """
        flags = _OUTPUT_JSON if json else 0
        with self._lock:
            self._library.nft_ctx_output_set_flags(self._context, flags)
            failed = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
            if len(text) > _LARGE:
                give_back()  # a parsed table of 50,000 elements leaves 130 MB
            output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
            if failed:
                message: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
                raise NftablesError(message.decode(errors="replace").strip()[:2000] or "libnftables gave no reason")
            return output.decode()

    def close(self) -> None:
        """Frees the handle; tables stay."""
        with self._lock:
            if self._context is not None:
                self._library.nft_ctx_free(self._context)
                self._context = None
