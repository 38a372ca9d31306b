"""When a cron schedule comes next, in its time zone. Follows robfig/cron v3, which upstream uses. Pure.

Day of month and day of week: both must fit when one of them is `*`, otherwise either. Times that a change to summer time leaves out
do not come.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from kubetree.api.times import parse_duration
from kubetree.api.validation.cron_jobs import parse_schedule

_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = {m: i + 1 for i, m in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])}
_DAYS = {d: i for i, d in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_BOUNDS: tuple[tuple[int, int, dict[str, int]], ...] = ((0, 59, {}), (0, 23, {}), (1, 31, {}), (1, 12, _MONTHS), (0, 6, _DAYS))
_YEARS = 5
"""How far ahead to look: 30 February never comes."""


@dataclass(frozen=True, slots=True)
class Every:
    """@every: a fixed time after the last."""

    seconds: float

    def next(self, after: datetime) -> datetime | None:
        return after.replace(microsecond=0) + timedelta(seconds=max(1.0, float(int(self.seconds))))


@dataclass(frozen=True, slots=True)
class Cron:
    """Sets of what fits; `any_day` and `any_weekday` are true for a bare `*`."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    zone: tzinfo

    def next(self, after: datetime) -> datetime | None:
        """The first time after `after`, UTC; None when there is none in the next five years."""
        time = after.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        last = time + timedelta(days=366 * _YEARS)
        while time < last:
            local = time.astimezone(self.zone)
            if local.month not in self.months:
                time = self._local(local.year + local.month // 12, local.month % 12 + 1, 1)
            elif not self._day_fits(local):
                following = local.date() + timedelta(days=1)
                time = self._local(following.year, following.month, following.day)
            elif local.hour not in self.hours:
                time += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes:
                time += timedelta(minutes=1)
            else:
                return time
        return None

    def _day_fits(self, local: datetime) -> bool:
        day, weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return day and weekday if self.any_day or self.any_weekday else day or weekday

    def _local(self, year: int, month: int, day: int) -> datetime:
        """A local midnight as UTC."""
        return datetime(year, month, day, tzinfo=self.zone).astimezone(UTC)


Schedule = Cron | Every


def schedule(text: str, zone: str | None = None) -> Schedule:
    """Raises ValueError, in robfig/cron's words, for a malformed schedule, and ZoneInfoNotFoundError for an unknown zone."""
    parse_schedule(text)
    place: tzinfo = ZoneInfo(zone) if zone else UTC
    if text.startswith(("TZ=", "CRON_TZ=")):
        given, _, text = text.partition(" ")
        place, text = ZoneInfo(given.partition("=")[2] or "UTC"), text.strip()
    if text.startswith("@every "):
        return Every(parse_duration(text.removeprefix("@every ")))
    fields = _DESCRIPTORS.get(text, text).split()
    sets = [_field(field, *bounds) for field, bounds in zip(fields, _BOUNDS, strict=True)]
    return Cron(sets[0], sets[1], sets[2], sets[3], sets[4], _is_any(fields[2]), _is_any(fields[4]), place)


def _is_any(field: str) -> bool:
    return any(part in ("*", "?", "*/1", "?/1") for part in field.split(","))


def _field(field: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in filter(None, field.split(",")):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        start = low if first in ("*", "?") else _number(first, names)
        end = high if first in ("*", "?") or (step and not dash) else _number(last, names) if dash else start
        found.update(range(start, end + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, names: dict[str, int]) -> int:
    return names[text.lower()] if text.lower() in names else int(text)
