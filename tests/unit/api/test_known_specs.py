"""Specs seen before: an object read the short way is what the long way makes of the same bytes, or it is not read at all."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.api import schema
from kubetree.api.defaults import apply_defaults
from kubetree.api.kind_table import kind
from kubetree.api.known_specs import KnownSpecs

POD = kind("v1", "Pod")
SPEC = {"containers": [{"name": "c", "image": "nginx", "resources": {"limits": {"cpu": "1"}}, "ports": [{"containerPort": 80}]}]}


def pod(spec: Any = SPEC, **metadata: Any) -> bytes:
    return orjson.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", **metadata}, "spec": spec})


def long_way(data: bytes) -> dict[str, Any]:
    obj, warnings = schema.decode(POD, data, "Strict")
    assert not warnings
    apply_defaults(POD, obj)
    return obj


@pytest.fixture
def known() -> KnownSpecs:
    specs = KnownSpecs(most=4)
    specs.learn(POD, pod(), long_way(pod()))
    return specs


def test_the_same_spec_is_read_with_its_defaults_and_with_its_own_metadata(known: KnownSpecs) -> None:
    data = pod(name="b", labels={"app": "x", "empty": ""}, annotations={"note": '{"a":{}}'}, namespace="here")
    for _ in range(20):  # from some reading on it is code that makes the spec
        found = known.read(POD, data)
        assert found is not None and found.obj == long_way(data)
        assert orjson.dumps(found.obj["spec"]) == found.spec
        found.obj["spec"]["containers"][0].clear()
        found.obj["spec"]["containers"].clear()


def test_a_spec_that_cannot_be_code_is_read_all_the_same() -> None:
    specs, deep = KnownSpecs(), b'{"x":' * 120 + b"{}" + b"}" * 120
    data = pod().replace(b'"image"', b'"odd":' + deep + b',"image"')
    specs.learn(POD, data, orjson.loads(data))
    for _ in range(20):
        found = specs.read(POD, data)
        assert found is not None and found.obj == orjson.loads(data)


@pytest.mark.parametrize(
    "data",
    [
        pod(creationTimestamp=None),
        orjson.dumps({"metadata": {"creationTimestamp": None, "name": "a"}, "spec": SPEC, "kind": "Pod", "apiVersion": "v1", "status": {}}),
        pod()[:-1] + b',"status":{}}',
    ],
)
def test_what_clients_in_go_send_along_is_no_obstacle(known: KnownSpecs, data: bytes) -> None:
    found = known.read(POD, data)
    assert found is not None and found.obj == long_way(data)


@pytest.mark.parametrize(
    "data",
    [
        pod({**SPEC, "nodeName": "n"}),
        pod(deletionTimestamp=None),
        pod().replace(b'"name":"a"', b'"creationTimestamp":null,"name":"a","creationTimestamp":null'),
        pod(generateName=""),
        pod(labels={}),
        pod(unknown=1),
        pod(labels={"app": 1}),
        pod().replace(b'"name":"a"', b'"name":"a","name":"b"'),
        pod().replace(b'"kind":"Pod"', b'"kind":"Pod","kind":"Pod"'),
        pod().replace(b'"metadata":', b'"metadata":{},"metadata":'),
        pod().replace(b'"apiVersion":"v1"', b'"apiVersion":"v2"'),
        pod().replace(b'"kind":"Pod",', b""),
        pod()[:-1],
        pod()[:-1] + b',"status":{"phase":"Running"}}',
        pod()[:-1] + b',"more":{}}',
        b"[]",
        b"",
    ],
)
def test_what_needs_a_second_look_is_not_read(known: KnownSpecs, data: bytes) -> None:
    assert known.read(POD, data) is None


_TEXTS = st.sampled_from(["", "a", "x: null", '{"a":{}}', "é", '"creationTimestamp":null,'])
_METADATA = st.dictionaries(
    st.sampled_from(
        ["name", "namespace", "generateName", "labels", "annotations", "creationTimestamp", "generation", "finalizers", "uid", "odd"]
    ),
    st.one_of(st.none(), _TEXTS, st.integers(-1, 2), st.dictionaries(_TEXTS, st.one_of(_TEXTS, st.none())), st.lists(_TEXTS, max_size=2)),
)


@given(metadata=_METADATA, status=st.sampled_from([b"", b',"status":{}', b',"status":null', b',"status":{"phase":"x"}']))
def test_whatever_the_metadata_is_both_ways_agree(metadata: dict[str, Any], status: bytes) -> None:
    """What the short way reads, the long way accepts without a word and reads the same."""
    specs = KnownSpecs()
    specs.learn(POD, pod(), long_way(pod()))
    data = orjson.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": SPEC})[:-1] + status + b"}"
    found = specs.read(POD, data)
    if found is not None:
        assert found.obj == long_way(data)


def test_few_are_remembered(known: KnownSpecs) -> None:
    for n in range(10):
        data = pod({**SPEC, "nodeName": f"n{n}"})
        known.learn(POD, data, long_way(data))
    assert len(known) == 4
    assert known.read(POD, pod()) is None
