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
    OPTIONAL,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    Type,
)
from .authorization import AUTHORIZATION
from .comprehensions import COMPREHENSIONS
from .formats import FORMATS
from .lists import LISTS
from .networks import CIDR, IP, NETWORKS
from .optionals import OPTIONALS
from .quantities import QUANTITIES
from .regexes import REGEXES
from .semver import SEMVERS
from .sets import SETS
from .standard import STANDARD
from .strings import STRINGS
from .urls import URLS

_LIBRARIES: tuple[Functions, ...] = (
    STANDARD,
    URLS,
    REGEXES,
    LISTS,
    AUTHORIZATION,
    OPTIONALS,
    QUANTITIES,
    STRINGS,
    SETS,
    NETWORKS,
    FORMATS,
    COMPREHENSIONS,
    SEMVERS,
)
"""In the order in which upstream's environment adds them: it decides which overload is asked first."""

FUNCTIONS: Functions = table(*(function for library in _LIBRARIES for function in library.values()))

_NAMED = (BOOL, BYTES, CIDR, DOUBLE, DURATION, INT, IP, LIST, MAP, NULL, OPTIONAL, STRING, TIMESTAMP, TYPE, UINT)

TYPE_NAMES: dict[str, Type] = {t.name: t for t in _NAMED}
