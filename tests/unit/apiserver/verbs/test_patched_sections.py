"""What a patch does not name is not looked at again: the result is as if it were."""

import copy
from random import Random

import orjson
import pytest

from kubetree.api import errors
from kubetree.api.defaults import apply_defaults
from kubetree.api.kind_table import ROWS, kind
from kubetree.api.kinds import Kind
from kubetree.api.schema import decode
from kubetree.apiserver.verbs import patch
from kubetree.apiserver.verbs.patch import JSON_PATCH, MERGE_PATCH, STRATEGIC, PatchRequest, merged
from kubetree.apiserver.wire.options import WriteOptions
from random_objects import RandomObjects, known

Object = dict
POD = kind("v1", "Pod")


def request(type: str, data: object) -> PatchRequest:
    return PatchRequest(type, data, WriteOptions(validation="Warn"), [], [])


def outcome(row: Kind, type: str, data: object, live: Object) -> tuple[object, list[str]]:
    asked = request(type, copy.deepcopy(data))
    try:
        return merged(row, asked, live), asked.warnings
    except errors.ApiError as error:
        return error.to_status(), asked.warnings


def changes(random: Random, type: str, other: Object) -> object:
    """Some sections of another object, some gone, some that are nothing."""
    names = [name for name in other if name not in ("apiVersion", "kind") and random.random() < 0.5]
    if type == JSON_PATCH:
        put = [{"op": "add", "path": f"/{name}", "value": other[name]} for name in names]
        return [*put, *random.choice(([], [{"op": "add", "path": "/metadata/labels", "value": {"a": 1}}]))]
    return {name: other[name] for name in names} | random.choice(({}, {"status": None}, {"spec": {"nonsense": 1}}, {"what": "this"}))


@pytest.mark.parametrize("row", [r for r in ROWS if known(r) and r.stored], ids=lambda r: f"{r.api_version} {r.kind}")
@pytest.mark.parametrize("type", [JSON_PATCH, MERGE_PATCH, STRATEGIC])
def test_the_result_is_that_of_checking_everything(row: Kind, type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    some, objects = Random(1), RandomObjects(1)
    for _ in range(6):
        live, other = (decode(row, orjson.dumps(objects.of(row)), "Strict")[0] for _ in range(2))
        apply_defaults(row, live)
        data = changes(some, type, other)
        short = outcome(row, type, data, live)
        with monkeypatch.context() as all_of_it:
            all_of_it.setattr(patch, "_sections", lambda request: None)
            whole = outcome(row, type, data, live)
        for found in (short[0], whole[0]):
            if "code" not in found:
                apply_defaults(row, found)
        assert short == whole


@pytest.mark.parametrize(
    ("type", "data", "named"),
    [
        (MERGE_PATCH, {"status": {}, "metadata": {}}, {"status", "metadata"}),
        (STRATEGIC, {"$retainKeys": ["spec"], "spec": {}}, None),
        (STRATEGIC, {"$patch": "replace"}, None),
        (JSON_PATCH, [{"op": "add", "path": "/spec/a", "value": 1}, {"op": "test", "path": "/metadata/name"}], {"spec", "metadata"}),
        (JSON_PATCH, [{"op": "move", "from": "/status/a", "path": "/spec/b"}], {"status", "spec"}),
        (JSON_PATCH, [{"op": "replace", "path": "", "value": {}}], None),
        (JSON_PATCH, [{"op": "remove", "path": "/~0"}], None),
        (JSON_PATCH, [{"op": "remove", "path": 1}], None),
    ],
)
def test_which_sections_a_patch_names(type: str, data: object, named: set[str] | None) -> None:
    found = patch._sections(request(type, data))
    assert (found if found is None else set(found)) == named


def test_a_value_that_only_python_takes_for_the_same_is_refused() -> None:
    live = decode(POD, b'{"metadata":{"name":"a"},"spec":{"terminationGracePeriodSeconds":1,"containers":[]}}')[0]
    for type, data in (
        (MERGE_PATCH, {"spec": {"terminationGracePeriodSeconds": True}}),
        (JSON_PATCH, [{"op": "replace", "path": "/spec/terminationGracePeriodSeconds", "value": True}]),
    ):
        with pytest.raises(errors.Invalid, match="cannot unmarshal bool"):
            merged(POD, request(type, data), live)
