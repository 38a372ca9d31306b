"""Importing a component: a third of a process's start. What it costs besides the modules themselves is left out here."""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def load(name: str) -> ModuleType:
    """Imports a module and all that it needs; what it made is then left out of garbage collections."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        with _without_authorities():
            return importlib.import_module(name)
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


@contextmanager
def _without_authorities() -> Iterator[None]:
    """aiohttp, when imported, makes two TLS contexts and loads the system's authorities into both (40 ms, 1 MB) for requests that
    bring no context of their own. Kubetree's bring theirs, made when they are needed; those two stay empty and trust nobody."""
    before = {name: os.environ.get(name) for name in _AUTHORITIES}
    os.environ.update(dict.fromkeys(_AUTHORITIES, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
