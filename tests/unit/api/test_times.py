from datetime import UTC, datetime

import pytest

from kubetree.api import times


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (1.5, "1.5s"), (90, "1m30s"), (5400, "1h30m0s"), (0.25, "250ms"), (1e-6, "1µs"), (-60, "-1m0s"), (0.0015, "1.5ms")],
)
def test_durations_are_written_as_go_does_and_read_back(seconds: float, text: str) -> None:
    assert times.format_duration(seconds) == text
    assert times.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "1x", "h", "1h 2m", "--1s"])
def test_a_malformed_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        times.parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"), (-0.5, "0s"), (119, "119s"), (120, "2m"), (312, "5m12s"), (900, "15m"), (11100, "3h5m"), (97200, "27h"),
        (273600, "3d4h"), (86400 * 12, "12d"), (86400 * (365 * 2 + 35), "2y35d"), (86400 * 365 * 9, "9y"),
    ],
)  # fmt: skip
def test_ages_read_as_kubectl_shows_them(seconds: float, text: str) -> None:
    assert times.human_age(seconds) == text


def test_times_round_trip() -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert times.format_time(time) == "2026-01-02T03:04:05Z"
    assert times.parse_time(times.format_micro_time(time)) == time
    assert times.parse_time("2026-01-02T05:04:05.000006999+02:00") == time
