"""Times as the API writes them: metav1.Time in whole seconds, metav1.MicroTime, Go durations, and kubectl's ages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


def format_time(time: datetime) -> str:
    """metav1.Time: 2026-01-02T03:04:05Z."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(time: datetime) -> str:
    """metav1.MicroTime: 2026-01-02T03:04:05.000006Z."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@lru_cache(maxsize=4096)
def parse_time(text: str) -> datetime:
    """An RFC 3339 time as an aware datetime in UTC; digits beyond microseconds are dropped. Raises ValueError."""
    trimmed = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text)
    time = datetime.fromisoformat(trimmed)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return time.astimezone(UTC)


def parse_duration(text: str) -> float:
    """A Go duration such as 1h30m or 1.5s in seconds. Raises ValueError with Go's wording."""
    sign, body = (-1.0 if text.startswith("-") else 1.0), text.lstrip("+-")
    if body == "0":
        return 0.0
    end, seconds = 0, 0.0
    while part := _PART.match(body, end):
        seconds += float(part[1]) * _UNITS[part[2]]
        end = part.end()
    if not body or end != len(body) or len(text) - len(body) > 1:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * seconds


def format_duration(seconds: float) -> str:
    """A Go duration: 1h30m0s, 1.5s, 250ms, 0s."""
    if seconds == 0:
        return "0s"
    sign, nanoseconds = ("-" if seconds < 0 else ""), round(abs(seconds) * 1e9)
    if nanoseconds < 1_000_000_000:
        for unit, size in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
            if nanoseconds >= size:
                return f"{sign}{_number(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{_number(rest, 1_000_000_000)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else f"{sign}{text}"


def _number(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    digits = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def human_age(delta: timedelta | float) -> str:
    """kubectl's AGE column, from a timedelta or seconds: 45s, 5m12s, 15m, 3h5m, 27h, 3d4h, 12d, 2y35d."""
    seconds = delta.total_seconds() if isinstance(delta, timedelta) else delta
    whole = int(seconds)
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = whole // 3600
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if hours < 17520:
        return f"{days}d"
    years = hours // 8760
    return _two(years, "y", days % 365, "d") if hours < 70080 else f"{years}y"


def _two(major: int, major_unit: str, minor: int, minor_unit: str) -> str:
    return f"{major}{major_unit}{minor}{minor_unit}" if minor else f"{major}{major_unit}"
