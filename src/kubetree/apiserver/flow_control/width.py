"""How many seats a request takes: a list as many as what it reads is large, a write those of its watchers for a moment. Pure.

Follows apiserver/pkg/util/flowcontrol/request.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from kubetree.apiserver.wire.request_info import Query, RequestInfo

_BYTES_A_SEAT, _MOST_AT_ONCE = 100_000, 1_000_000
_MOST_OF_A_LIST, _MOST_OF_A_WRITE = 100, 10
_WATCHERS_A_SEAT, _SECONDS_A_WATCHER_SEAT = 10, 0.005
_WRITES = frozenset({"create", "update", "patch", "delete"})


class Stored(NamedTuple):
    """What a kind's cache holds, in bytes all together, and who watches it."""

    objects: int
    size: int
    watchers: int


class Width(NamedTuple):
    seats: int
    lingering: float = 0.0
    """Seconds for which the seats stay taken after the answer."""


ONE = Width(1)


def is_measured(info: RequestInfo, query: Query) -> bool:
    """Whether the width depends on what is stored."""
    if info.verb == "watch":
        return _begins_with_objects(query)
    return info.verb == "list" or info.verb in _WRITES


def _begins_with_objects(query: Query) -> bool:
    return query.get("sendInitialEvents", [""])[0] == "true" or query.get("resourceVersion", [""])[0] in ("", "0")


def width_of(info: RequestInfo, query: Query, stored: Stored, most: int) -> Width:
    """`most`: seats that one request of the level may have; 0: no limit of its own."""
    if info.verb in _WRITES:
        return _of_write(info, stored.watchers, min(most or _MOST_OF_A_WRITE, _MOST_OF_A_WRITE))
    return Width(max(1, min(_of_list(info, query, stored), min(most or _MOST_OF_A_LIST, _MOST_OF_A_LIST))))


def _of_list(info: RequestInfo, query: Query, stored: Stored) -> int:
    if not stored.objects:
        return 1
    limit = query.get("limit", [""])[0]
    objects = 1 if info.name else min(stored.objects, int(limit)) if limit.isdecimal() and int(limit) else stored.objects
    return math.ceil(min(objects * stored.size / stored.objects, _MOST_AT_ONCE) / _BYTES_A_SEAT)


def _of_write(info: RequestInfo, watchers: int, most: int) -> Width:
    if watchers < _WATCHERS_A_SEAT or info.subresource == "token":
        return ONE
    wanted = math.ceil(watchers / _WATCHERS_A_SEAT)
    seats = min(wanted, most)
    return Width(seats, wanted * _SECONDS_A_WATCHER_SEAT / seats)
