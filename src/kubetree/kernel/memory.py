"""Memory that the C library keeps when it was freed: it gives back only what lies at the end of its heap."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Returns freed memory to the machine, which takes some milliseconds. Nothing on a C library that cannot."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
