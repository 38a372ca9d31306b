"""Selectors of devices: what compiles, what it may cost, which devices it selects."""

from __future__ import annotations

from typing import Any

import pytest

from kubetree.api.cel import EvaluationError
from kubetree.api.device_selectors import SelectorError, selector

GPU: dict[str, Any] = {
    "attributes": {
        "model": {"string": "a100"},
        "cores": {"int": 8},
        "shared": {"bool": True},
        "other.example.com/firmware": {"version": "1.10.0"},
    },
    "capacity": {"memory": {"value": "40Gi"}},
}


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("device.driver == 'gpu.example.com'", True),
        ("device.attributes['gpu.example.com'].model == 'a100'", True),
        ("device.attributes['gpu.example.com'].cores > 8", False),
        ("device.attributes['gpu.example.com'].shared", True),
        ("device.attributes['other.example.com'].firmware.isGreaterThan(semver('1.9.0'))", True),
        ("device.capacity['gpu.example.com'].memory.compareTo(quantity('40Gi')) >= 0", True),
        ("'model' in device.attributes['gpu.example.com']", True),
        ("has(device.attributes['unknown.example.com'].model)", False),
        ("device.attributes['unknown.example.com'].?model.orValue('none') == 'none'", True),
        ("cel.bind(own, device.attributes['gpu.example.com'], own.cores == 8 && own.model.startsWith('a'))", True),
        ("device.allowMultipleAllocations", False),
    ],
)
def test_a_selector_looks_at_attributes_and_capacity(expression: str, selected: bool) -> None:
    assert selector(expression).matches("gpu.example.com", GPU) is selected


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("device.", "compilation failed: ERROR: <input>:1:8: Syntax error: no viable alternative at input '.'"),
        ("device.nope", "compilation failed: ERROR: <input>:1:7: undefined field 'nope'"),
        ("device.driver", "must evaluate to bool or the unknown type, not string"),
        ("device.capacity['a']", "must evaluate to bool or the unknown type, not map(string, kubernetes.Quantity)"),
    ],
)
def test_what_is_no_selector_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(SelectorError) as caught:
        selector(expression)
    assert str(caught.value).splitlines()[0] == reason


def test_an_attribute_that_is_missing_fails() -> None:
    with pytest.raises(EvaluationError, match=r"^no such key: color$"):
        selector("device.attributes['gpu.example.com'].color == 'red'").matches("gpu.example.com", GPU)


def test_the_cost_is_bounded_by_what_a_slice_may_hold() -> None:
    assert selector("device.driver == 'x'").most == 3
    domains = "device.attributes.all(d, device.attributes.all(e, device.attributes.all(f, device.attributes.all(g, d != e || f != g))))"
    assert selector(domains).most > 1_000_000
