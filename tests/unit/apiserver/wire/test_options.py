"""Query parameters as typed options."""

from __future__ import annotations

import pytest

from kubetree.api.errors import BadRequest, Invalid
from kubetree.apiserver.wire.options import delete_options, list_options, manager_of_agent, revision_of, write_options


def test_an_old_watch_asks_for_its_initial_events_without_saying_so() -> None:
    old = list_options({"resourceVersion": ["0"]}, watch=True)
    assert (old.send_initial_events, old.match) == (True, "NotOlderThan")
    assert list_options({"resourceVersion": ["5"]}, watch=True).send_initial_events is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"resourceVersionMatch": ["Exact"]}, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        (
            {"resourceVersionMatch": ["Exact"], "resourceVersion": ["0"]},
            'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        ({"resourceVersionMatch": ["Near"], "resourceVersion": ["5"]}, 'Unsupported value: "Near"'),
        ({"sendInitialEvents": ["true"]}, "sendInitialEvents is forbidden for list"),
    ],
)
def test_lists_that_make_no_sense_are_refused(query: dict[str, list[str]], words: str) -> None:
    with pytest.raises(Invalid) as refused:
        list_options(query, watch=False)
    assert words in refused.value.message


def test_numbers_must_be_numbers() -> None:
    with pytest.raises(BadRequest, match=r'strconv\.ParseInt: parsing "abc": invalid syntax'):
        list_options({"limit": ["abc"]}, watch=False)
    with pytest.raises(BadRequest):
        revision_of("1e3")
    assert revision_of("") == 0


def test_the_manager_is_named_after_the_client() -> None:
    assert manager_of_agent("kubectl/v1.36.0 (linux/amd64)") == "kubectl"
    assert manager_of_agent("a\x00b/1") == "ab"
    assert len(manager_of_agent("x" * 500)) == 128
    assert write_options({"fieldManager": ["me"]}, "kubectl/1", "CreateOptions").manager == "me"


def test_apply_needs_a_manager_and_only_apply_may_force() -> None:
    with pytest.raises(Invalid, match="is required for apply patch"):
        write_options({}, "kubectl/1", "PatchOptions", apply=True)
    with pytest.raises(Invalid, match="may not be specified for non-apply patch"):
        write_options({"force": ["true"]}, "kubectl/1", "PatchOptions")
    with pytest.raises(Invalid, match='supported values: "All"'):
        write_options({"dryRun": ["Some"]}, "kubectl/1", "CreateOptions")


def test_delete_options_come_from_the_body_before_the_query() -> None:
    body = {"gracePeriodSeconds": 3, "preconditions": {"uid": "u"}, "propagationPolicy": "Foreground"}
    found = delete_options({"gracePeriodSeconds": ["9"]}, body)
    assert (found.grace_period, found.uid, found.policy) == (3, "u", "Foreground")
    assert delete_options({"gracePeriodSeconds": ["9"]}, None).grace_period == 9
    with pytest.raises(Invalid, match="cannot be both set"):
        delete_options({}, {"orphanDependents": True, "propagationPolicy": "Orphan"})
    with pytest.raises(Invalid, match="Unsupported value"):
        delete_options({"propagationPolicy": ["Sideways"]}, None)
