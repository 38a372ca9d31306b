"""Times and durations in the API's spelling."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.api.times import format_duration, format_micro_time, format_time, human_age, parse_duration, parse_time


def test_times_are_written_in_utc() -> None:
    moment = parse_time("2026-01-02T03:04:05.123456789+02:00")
    assert format_time(moment) == "2026-01-02T01:04:05Z"
    assert format_micro_time(moment) == "2026-01-02T01:04:05.123456Z"


@given(st.datetimes(min_value=datetime(1, 1, 1), timezones=st.just(UTC)))
def test_a_time_reads_back(moment: datetime) -> None:
    assert parse_time(format_micro_time(moment)) == moment
    assert parse_time(format_time(moment)) == moment.replace(microsecond=0)


@pytest.mark.parametrize("text", ["", "2026-01-02", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05", "yesterday"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="parsing time"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [
        ("1h30m", 5400, "1h30m0s"),
        ("1.5s", 1.5, "1.5s"),
        ("-2m", -120, "-2m0s"),
        ("0", 0, "0s"),
        ("100us", 0.0001, "100µs"),
        ("0.5h", 1800, "30m0s"),
    ],
)
def test_durations(text: str, seconds: float, written: str) -> None:
    assert parse_duration(text) == seconds
    assert format_duration(seconds) == written


@pytest.mark.parametrize(
    ("text", "why"), [("10", "missing unit"), ("1x", 'unknown unit "x"'), ("", "invalid duration"), ("h", "invalid duration")]
)
def test_what_is_no_duration_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_duration(text)


@given(st.integers(-(10**6), 10**6).map(lambda n: n / 1000))
def test_a_duration_reads_back(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "age"),
    [
        (-5, "<invalid>"), (-1, "0s"), (119, "119s"), (120, "2m"), (312, "5m12s"), (600, "10m"), (3 * 3600 + 20 * 60, "3h20m"), (9 * 3600, "9h"),
        (3 * 86400 + 3600, "3d1h"), (100 * 86400, "100d"), (800 * 86400, "2y70d"), (9 * 365 * 86400, "9y"),
    ],
)  # fmt: skip
def test_ages_as_kubectl_shows_them(seconds: int, age: str) -> None:
    assert human_age(timedelta(seconds=seconds)) == age == human_age(seconds)


@pytest.mark.parametrize(
    "text, why",
    [
        ("x", ' as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
        ("2026-1-01T00:00:00Z", ' as "2006-01-02T15:04:05Z07:00": cannot parse "1-01T00:00:00Z" as "01"'),
        ("2026-01-01 00:00:00Z", ' as "2006-01-02T15:04:05Z07:00": cannot parse " 00:00:00Z" as "T"'),
        ("2026-01-01T00:00:00", ' as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00"'),
        ("2026-13-01T00:00:00Z", ": month out of range"),
        ("2026-02-30T00:00:00Z", ": day out of range"),
        ("2026-01-01T24:00:00Z", ": hour out of range"),
        ("2026-01-01T00:00:00Zx", ': extra text: "x"'),
    ],
)
def test_what_is_no_time_is_refused_in_gos_words(text: str, why: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_time(text)
    assert str(refused.value) == f'parsing time "{text}"{why}'
