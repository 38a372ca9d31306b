"""When a quota is counted anew."""

from __future__ import annotations

from kubetree.controllers.resource_quota import RESOURCE_QUOTA, duty


def test_what_admission_charged_is_no_reason_to_count_again() -> None:
    same = duty(300).same[RESOURCE_QUOTA]
    quota = {"spec": {"hard": {"services": "1"}}, "status": {"used": {"services": "0"}}}
    assert same(quota, quota | {"status": {"used": {"services": "1"}}})
    assert not same(quota, quota | {"spec": {"hard": {"services": "2"}}})
