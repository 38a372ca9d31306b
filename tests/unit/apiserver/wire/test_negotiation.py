"""Accept and Content-Type, read as upstream reads them."""

from __future__ import annotations

import pytest

from kubetree.api import errors
from kubetree.apiserver.wire.negotiation import CUSTOM_RESOURCES, JSON, PROTOBUF, YAML, negotiate, negotiate_input, negotiate_output


def test_the_first_clause_that_can_be_served_wins() -> None:
    table = negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
    assert table is not None and (table.as_kind, table.as_version) == ("Table", "v1")
    unknown = negotiate("application/json;as=Chart;v=v1;g=meta.k8s.io,application/json")
    assert unknown is not None and unknown.as_kind == ""
    weighted = negotiate("application/json;q=0.1,application/yaml")
    assert weighted is not None and weighted.serializer is YAML
    assert negotiate("image/png") is None
    assert negotiate("*/*") == negotiate("")


def test_custom_resources_have_no_protobuf_but_their_metadata_has() -> None:
    both = "application/vnd.kubernetes.protobuf,application/json"
    plain = negotiate(both, CUSTOM_RESOURCES)
    assert plain is not None and plain.serializer is JSON
    partial = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    metadata = negotiate(f"{partial},{both}", CUSTOM_RESOURCES)
    assert metadata is not None and metadata.serializer is PROTOBUF and metadata.as_kind == "PartialObjectMetadata"
    assert negotiate("application/vnd.kubernetes.protobuf", CUSTOM_RESOURCES) is None
    assert negotiate("application/*", CUSTOM_RESOURCES) is not None, "no router stands before them"


def test_people_get_indented_json() -> None:
    assert negotiate_output("", "", "curl/8.0").pretty
    assert not negotiate_output("", "false", "curl/8.0").pretty
    assert negotiate_output("", "true", "kubectl/1.36").pretty
    assert not negotiate_output("", "", "kubectl/1.36").pretty


def test_a_watch_needs_a_format_that_streams() -> None:
    with pytest.raises(errors.NotAcceptable):
        negotiate_output("application/yaml", "", "", watch=True)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/vnd.kubernetes.protobuf,application/json", "application/vnd.kubernetes.protobuf"),
        ("application/json,application/vnd.kubernetes.protobuf", "application/json"),
        ("application/vnd.kubernetes.protobuf;q=0.5,*/*;q=0.8", "application/json"),
        ("*/*;q=0.8,application/vnd.kubernetes.protobuf;q=0.5", "application/vnd.kubernetes.protobuf"),
        ("application/json;q=0", "application/json"),
        ("text/html,*/*;q=0.8", "application/json"),
        ("application/json;stream=foo,application/yaml", "application/yaml"),
        ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json", "application/json"),
        ("application/json;sv=v2,application/yaml", "application/yaml"),
    ],
)
def test_the_order_in_which_clauses_are_tried(accept: str, media_type: str) -> None:
    output = negotiate(accept)
    assert output is not None and output.serializer.media_type == media_type and not output.as_kind


@pytest.mark.parametrize("accept", ["application/*", "*", "APPLICATION/JSON", "application/cbor"])
def test_the_router_wants_a_format_by_name(accept: str) -> None:
    assert negotiate(accept) is None
    with pytest.raises(
        errors.NotAcceptable, match="406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
    ):
        negotiate_output(accept, "", "")


def test_bodies_must_be_in_a_known_format() -> None:
    assert negotiate_input("") is JSON
    assert negotiate_input("application/json; charset=utf-8") is JSON
    with pytest.raises(errors.UnsupportedMediaType, match="the body of the request was in an unknown format"):
        negotiate_input("text/plain")


def test_yaml_keeps_dates_as_text() -> None:
    assert YAML.to_json(b"a: 2020-01-01\nb: [1, 2]\n") == b'{"a":"2020-01-01","b":[1,2]}'


def test_a_watch_in_a_format_that_the_kind_has_not_is_refused_as_a_list_is() -> None:
    """Upstream looks first whether it has the format at all, then whether that can be streamed."""
    with pytest.raises(errors.NotAcceptable, match=r"accepted: application/json, application/yaml, application/vnd\.kubernetes\.protobuf$"):
        negotiate_output("application/vnd.kubernetes.protobuf", "", "", CUSTOM_RESOURCES, watch=True)
    with pytest.raises(
        errors.NotAcceptable, match=r"accepted: application/json;stream=watch, application/vnd\.kubernetes\.protobuf;stream=watch$"
    ):
        negotiate_output("application/yaml", "", "", CUSTOM_RESOURCES, watch=True)
