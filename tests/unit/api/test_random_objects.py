"""Nonsense of the right types is refused in words, printed, defaulted once and for all."""

import copy
from datetime import UTC, datetime

import orjson
import pytest

from api_objects import features
from kubetree.api.defaults import apply_defaults
from kubetree.api.kind_table import EVERY_ROW
from kubetree.api.kinds import Kind
from kubetree.api.printers import cells, columns
from kubetree.api.schema import check, decode
from kubetree.api.strategies import prepare_for_create, prepare_for_update, selectable_fields
from kubetree.api.validation import validate_create, validate_update
from kubetree.api.warnings import warnings
from random_objects import RandomObjects, known

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SAME_OBJECT = ("status", "finalize", "approval", "ephemeralcontainers", "resize")


@pytest.mark.parametrize("row", [r for r in EVERY_ROW if known(r)], ids=lambda r: f"{r.api_version} {r.kind}")
@pytest.mark.parametrize("seed", range(12))
def test_nothing_crashes(row: Kind, seed: int) -> None:
    random = RandomObjects(seed)
    obj, other = (decode(row, orjson.dumps(random.of(row)), "Strict")[0] for _ in range(2))
    obj["metadata"] |= {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    apply_defaults(row, obj)
    on = features(row)
    prepare_for_create(row, obj, on)
    assert not check(row, copy.deepcopy(obj), "Strict"), "defaults have the right types"
    again = copy.deepcopy(obj)
    apply_defaults(row, again)
    assert again == obj, "defaults must not change what is defaulted"
    mixed = {name: (obj if i + seed & 1 else other).get(name) for i, name in enumerate({**obj, **other})}
    mixed = {name: copy.deepcopy(value) for name, value in mixed.items() if value is not None}
    whole = copy.deepcopy(mixed)
    apply_defaults(row, whole)
    apply_defaults(row, mixed, obj)
    assert mixed == whole, "sections that have their defaults need no second look"
    owned = {**copy.deepcopy(obj), "metadata": {**obj["metadata"], "ownerReferences": [{"name": "a"}]}}
    whole = copy.deepcopy(owned)
    apply_defaults(row, whole)
    apply_defaults(row, owned, obj)
    assert owned == whole
    assert all(str(error) and error.to_cause().message for error in validate_create(row, obj))
    assert all(warnings(row, obj, None))
    assert len(cells(row, obj, NOW)) == len(columns(row)) + (row.kind == "IPAddress")
    if not row.stored:
        return
    selectable_fields(row, obj)
    obj["metadata"]["resourceVersion"] = "1"
    for subresource in ("", *(s.name for s in row.subresources if s.name in SAME_OBJECT)):
        new = {**copy.deepcopy(other), "metadata": copy.deepcopy(obj["metadata"])}
        apply_defaults(row, new)
        prepare_for_update(row, new, obj, subresource, features=on)
        assert all(str(error) for error in validate_update(row, new, obj, subresource))
        assert all(warnings(row, new, obj, subresource))
        cells(row, new, NOW)
