"""What changes a value on its way to the store and back, and how one of several is chosen. Pure.

Follows apiserver's storage/value: a value starts with the prefix of what wrote it; the first transformer writes, all may read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from kubetree.store.protocol import StoreUnavailable

ENCRYPTED = b"k8s:enc:"
"""What every encrypted value starts with, whoever wrote it."""


class TransformError(Exception):
    """A value that cannot be read or written with the keys at hand."""


class UnreadableValue(StoreUnavailable):
    """What the store has at a key cannot be decrypted."""

    def __init__(self, key: str, why: Exception) -> None:
        super().__init__(f'unable to transform key "{key}": {why}')


class KeyNeeded(Exception):
    """The value's key must be fetched first: await `fetch` and ask again. `fetch` raises TransformError."""

    def __init__(self, fetch: Callable[[], Awaitable[None]]) -> None:
        super().__init__("the key must be fetched first")
        self.fetch = fetch


class Plain(NamedTuple):
    """A value as it was before encryption. `stale`: it would be written differently now."""

    value: bytes
    stale: bool


class Transformer(Protocol):
    """`context` is authenticated with the value, so that nobody can move it to another key: the store's key."""

    def encrypt(self, value: bytes, context: bytes) -> bytes:
        """Raises TransformError."""
        ...

    def decrypt(self, data: bytes, context: bytes) -> Plain:
        """Raises TransformError, KeyNeeded."""
        ...


class Identity:
    """Leaves values as they are, and refuses to read what is encrypted."""

    def encrypt(self, value: bytes, context: bytes) -> bytes:
        return value

    def decrypt(self, data: bytes, context: bytes) -> Plain:
        if data.startswith(ENCRYPTED):
            raise TransformError("identity transformer tried to read encrypted data")
        return Plain(data, False)


IDENTITY = Identity()
"""The one that kinds have which nobody encrypts; who reads many values looks for it, to be quick."""


class ByPrefix:
    """The first writes; whichever has the value's prefix reads. `unknown` is said of a value that none of them knows."""

    def __init__(self, choices: Sequence[tuple[bytes, Transformer]], unknown: str) -> None:
        self._choices, self._unknown = tuple(choices), unknown

    def encrypt(self, value: bytes, context: bytes) -> bytes:
        prefix, transformer = self._choices[0]
        return prefix + transformer.encrypt(value, context)

    def decrypt(self, data: bytes, context: bytes) -> Plain:
        """A failure does not end the search: the same prefix may stand there again, with another key."""
        faults: list[str] = []
        for i, (prefix, transformer) in enumerate(self._choices):
            if not data.startswith(prefix):
                continue
            try:
                found = transformer.decrypt(data[len(prefix) :], context)
            except TransformError as error:
                if prefix and str(error) not in faults:
                    faults.append(str(error))
                continue
            return Plain(found.value, found.stale or i > 0)
        if faults:
            raise TransformError(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
        raise TransformError(self._unknown)
