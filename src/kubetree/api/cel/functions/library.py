"""All functions that Kubernetes 1.36 gives an expression."""

from __future__ import annotations

from ..declarations import Functions, table
from ..types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    LIST,
    MAP,
    NULL,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    Type,
)
from .comprehensions import COMPREHENSIONS
from .optionals import OPTIONALS
from .standard import STANDARD

_LIBRARIES: tuple[Functions, ...] = (STANDARD, OPTIONALS, COMPREHENSIONS)

FUNCTIONS: Functions = table(*(function for library in _LIBRARIES for function in library.values()))

TYPE_NAMES: dict[str, Type] = {t.name: t for t in (BOOL, BYTES, DOUBLE, DURATION, INT, LIST, MAP, NULL, STRING, TIMESTAMP, TYPE, UINT)}
