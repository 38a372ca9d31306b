"""Accept and Content-Type, read as upstream reads them."""

from __future__ import annotations

import pytest

from kubetree.api import errors
from kubetree.apiserver.negotiation import JSON, YAML, accepts_transforms, negotiate, negotiate_input, negotiate_output


def test_the_first_clause_that_can_be_served_wins() -> None:
    table = negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", accepts_transforms)
    assert table is not None and (table.as_kind, table.as_version) == ("Table", "v1")
    unknown = negotiate("application/json;as=Chart;v=v1;g=meta.k8s.io,application/json", accepts_transforms)
    assert unknown is not None and unknown.as_kind == ""
    weighted = negotiate("application/json;q=0.1,application/yaml", accepts_transforms)
    assert weighted is not None and weighted.serializer is YAML
    assert negotiate("image/png", accepts_transforms) is None
    assert negotiate("*/*", accepts_transforms) == negotiate("", accepts_transforms)


def test_people_get_indented_json() -> None:
    assert negotiate_output("", "", "curl/8.0").pretty
    assert not negotiate_output("", "false", "curl/8.0").pretty
    assert negotiate_output("", "true", "kubectl/1.36").pretty
    assert not negotiate_output("", "", "kubectl/1.36").pretty


def test_a_watch_needs_a_format_that_streams() -> None:
    with pytest.raises(errors.NotAcceptable):
        negotiate_output("application/yaml", "", "", watch=True)


def test_bodies_must_be_in_a_known_format() -> None:
    assert negotiate_input("") is JSON
    assert negotiate_input("application/json; charset=utf-8") is JSON
    with pytest.raises(errors.UnsupportedMediaType, match="the body of the request was in an unknown format"):
        negotiate_input("text/plain")


def test_yaml_keeps_dates_as_text() -> None:
    assert YAML.to_json(b"a: 2020-01-01\nb: [1, 2]\n") == b'{"a":"2020-01-01","b":[1,2]}'
