"""The lease of an API server: upstream's name, and when it has run out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kubetree.apiserver.identity_lease import expired, server_id

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_the_name_is_upstreams() -> None:
    assert server_id("vm") == "apiserver-wlv32tlttr4jl3gtroqexyxapa"


def test_a_lease_without_times_or_after_its_time_has_run_out() -> None:
    spec = {"renewTime": "2026-01-01T23:30:00.000000Z", "leaseDurationSeconds": 3600}
    assert not expired({"spec": spec}, NOW)
    assert expired({"spec": spec}, NOW + timedelta(hours=1))
    assert expired({"spec": {**spec, "renewTime": None}}, NOW)
    assert expired({}, NOW)
