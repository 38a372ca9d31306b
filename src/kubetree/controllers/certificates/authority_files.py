"""The certificate and key of an authority in files, read again when they change: nobody has to restart what signs with them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)
PEMPair = tuple[bytes, bytes]
"""A certificate and its key."""
PEMSource = Callable[[], PEMPair]
"""Gives the pair as it is now."""


class AuthorityFiles:
    """Called, gives both as they are now; what cannot be read stays as it was. Raises OSError for files that were never there."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self._seen = self._stamp()
        self._pair = certificate.read_bytes(), key.read_bytes()

    def __call__(self) -> PEMPair:
        try:
            seen = self._stamp()
            if seen != self._seen:
                certificate, key = self._files
                self._pair, self._seen = (certificate.read_bytes(), key.read_bytes()), seen
        except OSError as error:
            log.warning("the files of a signing authority stay as they were: %s", error)
        return self._pair

    def _stamp(self) -> tuple[int, ...]:
        return tuple(part for path in self._files for stat in (path.stat(),) for part in (stat.st_mtime_ns, stat.st_size, stat.st_ino))
