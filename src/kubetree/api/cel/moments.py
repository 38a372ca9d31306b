"""Points in time and spans as Go parses and writes them, to the nanosecond. (kubetree.api.times is for metav1.Time.)"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from .errors import EvaluationError
from .floats import positional
from .numbers import INT_MAX, INT_MIN
from .values import FIRST_SECOND, LAST_SECOND, NANOS, Duration, Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:Z|([+-])(\d\d):?(\d\d))?", re.ASCII | re.IGNORECASE
)
_SPAN = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": NANOS, "m": 60 * NANOS, "h": 3600 * NANOS}
_LOOSE_SPAN = re.compile(r"(\d+)\s*([A-Za-zµ]+)", re.ASCII)
_LOOSE_UNITS = (
    (("ns", "nano"), 1),
    (("us", "µs", "micro"), 1000),
    (("ms", "milli"), 10**6),
    (("s", "sec"), NANOS),
    (("m", "min"), 60 * NANOS),
    (("h", "hr", "hour"), 3600 * NANOS),
    (("d", "day"), 86400 * NANOS),
    (("w", "wk", "week"), 7 * 86400 * NANOS),
)


def parse_timestamp(text: str) -> Timestamp | None:
    """time.Parse(time.RFC3339, text); None for what is none."""
    return _timestamp(_RFC3339.fullmatch(text))


def parse_date_time(text: str) -> Timestamp | None:
    """strfmt's date-time: RFC 3339 and its looser relatives."""
    return Timestamp(0) if text == "" else _timestamp(_DATE_TIME.fullmatch(text))


def parse_date(text: str) -> Timestamp | None:
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text, re.ASCII)
    if match is None:
        return None
    try:
        day = date(*map(int, match.groups()))
    except ValueError:
        return None
    return Timestamp((day.toordinal() - _EPOCH_DAY) * 86400 * NANOS)


def _timestamp(match: re.Match[str] | None) -> Timestamp | None:
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, zone_hours, zone_minutes = match.groups()
    try:
        ordinal = date(int(year), int(month), int(day)).toordinal() if int(year) else -365 + _day_of_year_zero(int(month), int(day))
    except ValueError:
        return None
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 59 or int(zone_hours or 0) > 24 or int(zone_minutes or 0) > 60:
        return None
    offset = 0 if sign is None else (1 if sign == "+" else -1) * (int(zone_hours) * 3600 + int(zone_minutes) * 60)
    seconds = (ordinal - _EPOCH_DAY) * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second or 0) - offset
    return Timestamp(seconds * NANOS + int((fraction or "0")[:9].ljust(9, "0")), offset)


def _day_of_year_zero(month: int, day: int) -> int:
    """Python has no year 0 (a leap year); Go has. The ordinal of its first day is -365."""
    return date(4, month, day).toordinal() - date(4, 1, 1).toordinal()


def in_range(moment: Timestamp) -> bool:
    """Whether it is in the years 1 to 9999."""
    return FIRST_SECOND <= moment.nanos // NANOS <= LAST_SECOND


def timestamp_text(moment: Timestamp) -> str:
    """RFC 3339 with as many digits of a second as there are, in the zone it was written with."""
    seconds, nanos = divmod(moment.nanos, NANOS)
    days, rest = divmod(seconds + moment.offset, 86400)
    try:
        day = date.fromordinal(days + _EPOCH_DAY)
        text = f"{day.year:04d}-{day.month:02d}-{day.day:02d}"
    except (ValueError, OverflowError):
        text = "0000-12-31" if days < 0 else "10000-01-01"
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    minutes = moment.offset // 60
    zone = f"{'+' if minutes >= 0 else '-'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}" if moment.offset else "Z"
    return f"{text}T{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}{fraction}{zone}"


def parse_duration(text: str) -> Duration | None:
    """time.ParseDuration; None for what is none."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return Duration(0)
    if not rest:
        return None
    total, at = 0, 0
    while at < len(rest):
        match = _SPAN.match(rest, at)
        if match is None or not (match[1] or match[2]):
            return None
        unit = _UNITS[match[3]]
        total += int(match[1] or 0) * unit
        if match[2]:
            total += int(match[2]) * unit // 10 ** len(match[2])
        at = match.end()
    if text.startswith("-"):
        total = -total
    return Duration(total) if INT_MIN <= total <= INT_MAX else None


def parse_loose_duration(text: str) -> Duration | None:
    """strfmt's duration: Go's, or amounts with words such as '3 days'."""
    strict = parse_duration(text)
    if strict is not None:
        return strict
    total, found = 0, False
    for amount, unit in _LOOSE_SPAN.findall(text):
        word = unit.lower()
        for names, nanos in _LOOSE_UNITS:
            if word in names or word.startswith(names[-1]):
                total, found = total + int(amount) * nanos, True
    return Duration(total) if found else None


def duration_text(nanos: int) -> str:
    """time.Duration's String: '1h0m0.5s', '2ms', '0s'."""
    if nanos == 0:
        return "0s"
    sign, rest = ("-", -nanos) if nanos < 0 else ("", nanos)
    if rest < NANOS:
        unit, name = (1, "ns") if rest < 1000 else (1000, "µs") if rest < 10**6 else (10**6, "ms")
        return f"{sign}{_decimal(rest, unit)}{name}"
    seconds = _decimal(rest % (60 * NANOS), NANOS)
    minutes = rest // (60 * NANOS)
    if minutes < 60:
        return f"{sign}{f'{minutes}m' if minutes else ''}{seconds}s"
    return f"{sign}{minutes // 60}h{minutes % 60}m{seconds}s"


def seconds_text(nanos: int) -> str:
    """The span in seconds, as `string(duration)` gives it: '90.5s'."""
    return positional(nanos / NANOS if abs(nanos) < 1 << 53 else nanos // NANOS + (nanos % NANOS) / NANOS) + "s"


def _decimal(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    return f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else str(whole)


def civil(moment: Timestamp, zone: str | None) -> datetime:
    """The calendar's view of a moment in a zone ('UTC' for None); microseconds are cut. Raises EvaluationError for an unknown zone."""
    where: tzinfo = UTC if zone is None else _zone(zone)
    try:
        return (_EPOCH + timedelta(microseconds=moment.nanos // 1000)).astimezone(where)
    except OverflowError:
        raise EvaluationError("timestamp overflow") from None


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    at = name.find(":")
    if at < 0:
        if name in ("", "UTC"):
            return UTC
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            raise EvaluationError(f"unknown time zone {name}") from None
    hours, minutes = _atoi(name[:at]), _atoi(name[at + 1 :])
    offset = hours * 60 - minutes if name[0] == "-" else hours * 60 + minutes
    return timezone(timedelta(minutes=offset))


def _atoi(text: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]+", text) is None:
        raise EvaluationError(f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)
