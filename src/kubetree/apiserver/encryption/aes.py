"""AES for values: GCM with random nonces, CBC with PKCS#7, and GCM with a key derived for each write.

Follows apiserver's storage/value/encrypt/aes, byte for byte: what one server writes the other reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from kubetree.apiserver.encryption.transformers import Plain, TransformError

Random = Callable[[int], bytes]
KEY_SIZES = (16, 24, 32)
SEED_SIZE = 32
_NONCE, _BLOCK, _INFO = 12, 16, 32
_TOO_SHORT = "the stored data was shorter than the required size"


class GCM:
    """`key` of 16, 24 or 32 bytes. The nonce stands before the ciphertext."""

    def __init__(self, key: bytes, random: Random = os.urandom) -> None:
        self._cipher, self._random = AESGCM(key), random

    def encrypt(self, value: bytes, context: bytes) -> bytes:
        nonce = self._random(_NONCE)
        return nonce + self._cipher.encrypt(nonce, value, context)

    def decrypt(self, data: bytes, context: bytes) -> Plain:
        if len(data) < _NONCE:
            raise TransformError(_TOO_SHORT)
        try:
            return Plain(self._cipher.decrypt(data[:_NONCE], data[_NONCE:], context), False)
        except InvalidTag:
            raise TransformError("cipher: message authentication failed") from None


class CBC:
    """The initialization vector stands before the ciphertext. The context is not authenticated: that is why upstream warns of it."""

    def __init__(self, key: bytes, random: Random = os.urandom) -> None:
        self._key, self._random = algorithms.AES(key), random

    def encrypt(self, value: bytes, context: bytes) -> bytes:
        vector = self._random(_BLOCK)
        padder = padding.PKCS7(128).padder()
        padded = padder.update(value) + padder.finalize()
        encryptor = Cipher(self._key, modes.CBC(vector)).encryptor()
        return vector + encryptor.update(padded) + encryptor.finalize()

    def decrypt(self, data: bytes, context: bytes) -> Plain:
        if len(data) < _BLOCK:
            raise TransformError(_TOO_SHORT)
        vector, body = data[:_BLOCK], data[_BLOCK:]
        if len(body) % _BLOCK:
            raise TransformError("the stored data is not a multiple of the block size")
        if not body:
            raise TransformError("invalid PKCS7 data (empty or not padded)")
        decryptor = Cipher(self._key, modes.CBC(vector)).decryptor()
        padded = decryptor.update(body) + decryptor.finalize()
        unpadder = padding.PKCS7(128).unpadder()
        try:
            return Plain(unpadder.update(padded) + unpadder.finalize(), False)
        except ValueError:
            raise TransformError("invalid padding on input") from None


class DerivedGCM:
    """A key for each write, derived from `seed` and 32 random bytes that stand before the value: no limit on the number of writes."""

    def __init__(self, seed: bytes, random: Random = os.urandom) -> None:
        if len(seed) < SEED_SIZE:
            raise TransformError(f"invalid seed length {len(seed)} used for key generation")
        self._seed, self._random = seed, random

    def encrypt(self, value: bytes, context: bytes) -> bytes:
        info = self._random(_INFO)
        return info + self._derived(info).encrypt(value, context)

    def decrypt(self, data: bytes, context: bytes) -> Plain:
        if len(data) < _INFO:
            raise TransformError(_TOO_SHORT)
        return self._derived(data[:_INFO]).decrypt(data[_INFO:], context)

    def _derived(self, info: bytes) -> GCM:
        return GCM(HKDFExpand(SHA256(), SEED_SIZE, info).derive(self._seed), self._random)
