"""NaCl's secretbox (XSalsa20 and Poly1305) for values. Follows apiserver's storage/value/encrypt/secretbox."""

from __future__ import annotations

import os
from collections.abc import Callable

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox as NaClBox

from kubetree.apiserver.encryption.transformers import Plain, TransformError

KEY_SIZES = (32,)
_NONCE, _OVERHEAD = 24, 16


class SecretBox:
    """The nonce stands before the ciphertext. The context is not authenticated."""

    def __init__(self, key: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        self._box, self._random = NaClBox(key), random

    def encrypt(self, value: bytes, context: bytes) -> bytes:
        return bytes(self._box.encrypt(value, self._random(_NONCE)))

    def decrypt(self, data: bytes, context: bytes) -> Plain:
        if len(data) < _NONCE + _OVERHEAD:
            raise TransformError("the stored data was shorter than the required size")
        try:
            return Plain(self._box.decrypt(data), False)
        except CryptoError:
            raise TransformError("the stored data could not be authenticated with this key") from None
