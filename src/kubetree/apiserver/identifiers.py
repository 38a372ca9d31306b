"""Random identifiers of objects and requests."""

from __future__ import annotations

import random
from random import getrandbits

_VARIANT = {c: "89ab"[int(c, 16) & 3] for c in "0123456789abcdef"}


_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)


def new_suffix() -> str:
    """Five characters that cannot form words: what ends a generated name. Each pod needs one or two."""
    n = int(random.random() * 27**5)
    return _PAIRS[n % 729] + _PAIRS[n // 729 % 729] + _ALPHABET[n // 531441]


def new_uuid() -> str:
    """A random UUID (version 4) as text; a tenth of the time of uuid.uuid4, and every request needs one or two. They are no secrets, so
    the generator need not be one for secrets; Python seeds it from the system, also in each process that is forked."""
    h = f"{getrandbits(128):032x}"
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:]}"
