"""Times and durations as the API spells them. There is no clock here: `now` is always passed in.

metav1.Time has whole seconds, metav1.MicroTime six digits; both are written in UTC with a Z. Durations are Go's ("1h30m").
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))")

_NANOS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_DURATION_PART = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)")


def format_time(moment: datetime) -> str:
    """metav1.Time: "2026-01-02T03:04:05Z". The fraction of a second is cut off, as upstream does."""
    global _last
    last, text = _last
    if moment is not last:  # a write asks twice for the same moment
        shown = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
        text = shown.isoformat(timespec="seconds")[:19] + "Z"
        _last = moment, text
    return text


_last = datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"


def format_micro_time(moment: datetime) -> str:
    """metav1.MicroTime: "2026-01-02T03:04:05.000006Z"."""
    return f"{format_time(moment)[:-1]}.{moment.microsecond:06}Z"


def parse_time(text: str) -> datetime:
    """RFC 3339 with any offset and fraction (beyond microseconds cut off), in UTC.

    Raises ValueError worded as Go's time.Parse.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(_fault(text))
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    zone = UTC
    try:
        if sign:
            offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
            zone = timezone(-offset if sign == "-" else offset)
        micros = int((fraction or "0")[:6].ljust(6, "0"))
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micros, zone)
        return moment if zone is UTC else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(_fault(text)) from None


_ELEMENTS = (
    ("2006", r"\d{4}", ""),
    ("-", "-", ""),
    ("01", r"\d\d", "month"),
    ("-", "-", ""),
    ("02", r"\d\d", ""),
    ("T", "T", ""),
    ("15", r"\d\d?", "hour"),
    (":", ":", ""),
    ("04", r"\d\d", "minute"),
    (":", ":", ""),
    ("05", r"\d\d(?:[.,]\d+)?", "second"),
    ("Z07:00", r"Z|[-+]\d\d:\d\d", ""),
)
"""Go's layout of RFC 3339, element by element: how it is written there, what it takes, what it is called when it is out of range."""
_RANGES = {"month": (1, 12), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}


def _fault(text: str) -> str:
    """What Go's time.Parse says of a time that is none."""
    rest = text
    for element, pattern, name in _ELEMENTS:
        match = re.match(pattern, rest, re.ASCII)
        if match is None:
            return f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{rest}" as "{element}"'
        if name:
            low, high = _RANGES[name]
            if not low <= int(match[0][:2]) <= high:
                return f'parsing time "{text}": {name} out of range'
        rest = rest[match.end() :]
    return f'parsing time "{text}": ' + (f'extra text: "{rest}"' if rest else "day out of range")


def is_zero(moment: datetime) -> bool:
    """Go's zero time (0001-01-01T00:00:00Z), which the API writes as null."""
    return moment.year == 1 and moment.month == 1 and moment.day == 1 and not (moment.hour or moment.minute or moment.second)


def parse_duration(text: str) -> float:
    """Go's time.ParseDuration in seconds: "1h30m", "1.5s", "-2m", "0". Raises ValueError with Go's wording."""
    if not _DURATION.fullmatch(text):
        if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)", text):
            raise ValueError(f'time: missing unit in duration "{text}"')
        unknown = re.match(r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))*(?:\d+\.?\d*|\.\d+)([^\d.]+)", text)
        if unknown:
            raise ValueError(f'time: unknown unit "{unknown[1]}" in duration "{text}"')
        raise ValueError(f'time: invalid duration "{text}"')
    nanos = 0
    for whole, fraction, unit in _DURATION_PART.findall(text):
        nanos += int(whole or 0) * _NANOS[unit]
        if fraction:
            nanos += int(fraction) * _NANOS[unit] // 10 ** len(fraction)
    return -nanos / 10**9 if text.startswith("-") else nanos / 10**9


def format_duration(seconds: float) -> str:
    """Go's Duration.String: "1h30m0s", "1.5s", "250ms", "0s"."""
    nanos = round(seconds * 10**9)
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    if nanos < 10**9:
        for unit in ("ms", "µs", "ns"):
            if nanos >= _NANOS[unit]:
                return f"{sign}{_decimal(nanos, _NANOS[unit])}{unit}"
        return "0s"
    minutes, nanos = divmod(nanos, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(nanos, 10**9)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text


def _decimal(nanos: int, unit: int) -> str:
    whole, rest = divmod(nanos, unit)
    fraction = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


def human_age(age: timedelta | float) -> str:
    """kubectl's AGE column ("5m12s", "3h20m", "12d"): two or three significant figures. `age` in seconds or a timedelta."""
    seconds = int(age.total_seconds() if isinstance(age, timedelta) else age)
    if seconds < 0:
        return "<invalid>" if seconds < -1 else "0s"
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"
