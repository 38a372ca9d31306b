"""The certificate and key that this server shows to others as the front proxy, read again when the files change."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

_LOOK_EVERY = 1.0


class KeyPairFiles:
    """`clock` gives monotonic seconds."""

    def __init__(self, certificate: Path | None, key: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._certificate, self._key, self._clock = certificate, key, clock
        self._pair = (b"", b"")
        self._seen: tuple[int, int] | None = None
        self._looked = float("-inf")

    def pair(self) -> tuple[bytes, bytes]:
        """PEM; empty without files. A pair that cannot be read now stays as it was; the first time, OSError is raised."""
        if self._certificate is None or self._key is None:
            return self._pair
        now = self._clock()
        if now - self._looked < _LOOK_EVERY:
            return self._pair
        self._looked = now
        try:
            seen = self._certificate.stat().st_mtime_ns, self._key.stat().st_mtime_ns
            if seen != self._seen:
                self._pair, self._seen = (self._certificate.read_bytes(), self._key.read_bytes()), seen
        except OSError:
            if self._seen is None:
                raise
        return self._pair
